// Command readlog reads a whole log back with programs of others: golang.org/x/mod/sumdb and filippo.io/torchwood.
//
//	readlog <log address> <tlog-policy file> <log vkey> <bearer token of a reader>
//
// It opens the published checkpoint under the policy, reads every tile and bundle it needs, checks the inclusion of each
// entry, verifies a log proof of the log's own making for a sample of the entries, and prints one line of JSON.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// sampleEvery is the distance between entries whose log proofs are fetched and verified.
const sampleEvery = 97

// report is what the caller compares with what it submitted.
type report struct {
	Origin     string   `json:"origin"`
	Size       int64    `json:"size"`
	Root       string   `json:"root"`
	Signers    []string `json:"signers"`
	Entries    int64    `json:"entries"`
	EntriesSum string   `json:"entries_sha256"` // SHA-256 over the entries, each followed by LF
	Proofs     int      `json:"proofs"`
}

func main() {
	if len(os.Args) != 5 {
		fail(errors.New("want: readlog <address> <policy file> <vkey> <token>"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	r, err := read(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "readlog:", err)
	os.Exit(1)
}

func read(ctx context.Context, address, policyFile, vkey, token string) (*report, error) {
	policyText, err := os.ReadFile(policyFile)
	if err != nil {
		return nil, err
	}
	policy, err := torchwood.ParsePolicy(policyText)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	signed, err := get(ctx, address+"/checkpoint")
	if err != nil {
		return nil, err
	}
	if err := openAlone(signed, vkey); err != nil {
		return nil, err
	}
	checkpoint, opened, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	r := &report{Origin: checkpoint.Origin, Size: checkpoint.N, Root: hex.EncodeToString(checkpoint.Hash[:])}
	for _, sig := range opened.Sigs {
		r.Signers = append(r.Signers, sig.Name)
	}
	return r, readEntries(ctx, address, token, checkpoint.Tree, policy, r)
}

// openAlone opens the note with x/mod and the log's key only: cosignatures of others must not be in the way.
func openAlone(signed []byte, vkey string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("vkey: %w", err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		return fmt.Errorf("note.Open: %w", err)
	}
	return nil
}

// readEntries walks the whole log. The client checks each bundle against its level-0 tile and each tile against the root;
// inclusion of each entry is then proven and checked once more through x/mod.
func readEntries(ctx context.Context, address, token string, tree tlog.Tree, policy torchwood.Policy, r *report) error {
	fetcher, err := torchwood.NewTileFetcher(address, torchwood.WithHTTPClient(&http.Client{Transport: bearer{token}}),
		torchwood.WithConcurrencyLimit(16), torchwood.WithUserAgent("readlog"))
	if err != nil {
		return err
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		return err
	}
	cached := &tileCache{fetcher: fetcher, tiles: map[tlog.Tile][]byte{}}
	hashes := torchwood.TileHashReaderWithContext(ctx, tree, cached)
	sum := sha256.New()
	for index, entry := range client.AllEntries(ctx, tree, 0) {
		leaf := tlog.RecordHash(entry)
		if err := checkInclusion(tree, index, leaf, hashes); err != nil {
			return err
		}
		if index%sampleEvery == 0 || index == tree.N-1 {
			if err := checkLogProof(ctx, address, index, leaf, policy); err != nil {
				return err
			}
			r.Proofs++
		}
		// Not with append: the entry is a view of its bundle.
		sum.Write(entry)
		sum.Write([]byte{'\n'})
		r.Entries++
	}
	r.EntriesSum = hex.EncodeToString(sum.Sum(nil))
	return client.Err()
}

func checkInclusion(tree tlog.Tree, index int64, leaf tlog.Hash, hashes tlog.HashReader) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return fmt.Errorf("proof of entry %d: %w", index, err)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	return nil
}

// checkLogProof verifies the proof that the log itself hands out, and that it proves no other entry.
func checkLogProof(ctx context.Context, address string, index int64, leaf tlog.Hash, policy torchwood.Policy) error {
	proof, err := get(ctx, fmt.Sprintf("%s/log-proof/%d?wait_ms=10000", address, index))
	if err != nil {
		return err
	}
	if err := torchwood.VerifyProof(policy, leaf, proof); err != nil {
		return fmt.Errorf("log proof of entry %d: %w", index, err)
	}
	leaf[0] ^= 1
	var refused *torchwood.VerifyRecordError
	if err := torchwood.VerifyProof(policy, leaf, proof); !errors.As(err, &refused) {
		return fmt.Errorf("log proof of entry %d: another leaf was not refused: %v", index, err)
	}
	return nil
}

func get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", address, response.StatusCode)
	}
	return body, nil
}

// bearer adds the token of a reader to each request.
type bearer struct{ token string }

func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(request)
}

// tileCache keeps the tiles of one run: each proof would read the same ones again.
type tileCache struct {
	fetcher *torchwood.TileFetcher
	tiles   map[tlog.Tile][]byte
}

func (c *tileCache) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	var missing []tlog.Tile
	for _, tile := range tiles {
		if _, ok := c.tiles[tile]; !ok {
			missing = append(missing, tile)
		}
	}
	read, err := c.fetcher.ReadTiles(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, tile := range missing {
		c.tiles[tile] = read[i]
	}
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data[i] = c.tiles[tile]
	}
	return data, nil
}

func (c *tileCache) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return c.fetcher.ReadEndpoint(ctx, path)
}

func (c *tileCache) SaveTiles([]tlog.Tile, [][]byte) {}
