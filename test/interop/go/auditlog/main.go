// Command auditlog checks a whole log with Tessera's fsck: every tile and bundle against the checkpoint, with the Merkle tree
// of transparency-dev/merkle.
//
//	auditlog <log address, or file:// and a folder> <log vkey> <bearer token of a reader>
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// readers is above one: with one reader this fsck hangs on the first fault.
const readers = 4

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("want: auditlog <address> <vkey> <token>"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := audit(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "auditlog: %.300s\n", err.Error())
	os.Exit(1)
}

func audit(ctx context.Context, address, vkey, token string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	fetcher, err := open(address, token)
	if err != nil {
		return err
	}
	check := fsck.New(verifier.Name(), verifier, fetcher, leafHashes, fsck.Opts{N: readers})
	if err := check.Check(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// open reads over HTTP, or the files of a folder as they are.
func open(address, token string) (fsck.Fetcher, error) {
	if folder, isFolder := strings.CutPrefix(address, "file://"); isFolder {
		return client.FileFetcher{Root: folder}, nil
	}
	root, err := url.Parse(address + "/")
	if err != nil {
		return nil, err
	}
	fetcher, err := client.NewHTTPFetcher(root, nil)
	if err != nil {
		return nil, err
	}
	fetcher.SetAuthorizationHeader("Bearer " + token)
	return fetcher, nil
}

// leafHashes cuts an entry bundle (C2SP tlog-tiles) and hashes its entries.
func leafHashes(bundle []byte) ([][]byte, error) {
	var leaves [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, errors.New("a bundle ends in the middle of a length")
		}
		length := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+length {
			return nil, errors.New("a bundle ends in the middle of an entry")
		}
		leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(bundle[2:2+length]))
		bundle = bundle[2+length:]
	}
	return leaves, nil
}
