// Command tesseralog runs a log that nobody here wrote, Tessera's POSIX driver, and has it witnessed by the witnesses of a
// policy: Tessera's own witness client submits every checkpoint.
//
//	tesseralog <folder> <private note key> <policy file>
//
// It appends entries in steps, waits after each until a checkpoint that covers them is published, which takes a quorum of
// cosignatures, and prints each published checkpoint as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// steps are the numbers of entries that are appended before each wait: across a full tile and back to a single entry.
var steps = []int{1, 4, 300, 1}

type published struct {
	Index      uint64 `json:"index"`
	Checkpoint string `json:"checkpoint"`
}

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("want: tesseralog <folder> <private note key> <policy file>"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "tesseralog:", err)
	os.Exit(1)
}

func run(ctx context.Context, folder, key, policyFile string) error {
	signer, err := note.NewSigner(key)
	if err != nil {
		return err
	}
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	witnesses, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(200*time.Millisecond).
		WithBatching(64, 50*time.Millisecond).
		WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: 5 * time.Second})
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for step, count := range steps {
		if err := appendStep(ctx, appender, awaiter, step, count); err != nil {
			return err
		}
	}
	return shutdown(ctx)
}

func appendStep(ctx context.Context, a *tessera.Appender, awaiter *tessera.PublicationAwaiter, step, count int) error {
	var last tessera.IndexFuture
	for i := range count {
		last = a.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "step %d entry %d", step, i)))
	}
	index, checkpoint, err := awaiter.Await(ctx, last)
	if err != nil {
		return fmt.Errorf("step %d was not published: %w", step, err)
	}
	return json.NewEncoder(os.Stdout).Encode(published{Index: index.Index, Checkpoint: string(checkpoint)})
}
