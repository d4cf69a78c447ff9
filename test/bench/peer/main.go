// Command peer serves a log of Tessera's POSIX driver over HTTP, as the benchmarks of our ledger compare it with:
//
//	peer <folder> <private note key> [<entries of a batch> <milliseconds of a batch>]
//
// POST /add takes a body as one entry and answers with its index in decimal once Tessera says that the entry is integrated,
// which is after the files are synced. GET serves the files. Everything is Tessera's default, with the antispam cache in
// memory that its documentation recommends; the last two arguments replace the size and the age of a batch. Prints its
// address as one line of JSON; SIGTERM ends it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const maxEntryBytes = 65_535

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 && len(args) != 4 {
		return errors.New("want: peer <folder> <private note key> [<batch size> <batch milliseconds>]")
	}
	options, err := optionsOf(args[1:])
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: args[0]})
	if err != nil {
		return err
	}
	appender, _, _, err := tessera.NewAppender(context.WithoutCancel(ctx), driver, options)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(appender, args[0]), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	address := map[string]string{"url": "http://" + listener.Addr().String()}
	if err := json.NewEncoder(os.Stdout).Encode(address); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func optionsOf(args []string) (*tessera.AppendOptions, error) {
	signer, err := note.NewSigner(args[0])
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithAntispam(tessera.DefaultAntispamInMemorySize, nil)
	if len(args) == 1 {
		return options, nil
	}
	size, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return nil, err
	}
	ms, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil {
		return nil, err
	}
	return options.WithBatching(uint(size), time.Duration(ms)*time.Millisecond), nil
}

func routes(appender *tessera.Appender, folder string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		entry, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEntryBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		index, err := appender.Add(r.Context(), tessera.NewEntry(entry))()
		if errors.Is(err, tessera.ErrPushback) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, strconv.FormatUint(index.Index, 10))
	})
	mux.Handle("GET /", http.FileServer(http.Dir(folder)))
	return mux
}
