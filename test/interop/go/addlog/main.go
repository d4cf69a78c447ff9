// Command addlog tells a litewitness which log it may cosign, as its own witnessctl does: a row in its database.
//
//	addlog <litewitness database> <origin> <vkey>
//
// witnessctl is not used because it needs a module of another host that litewitness itself does not need.
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("want: addlog <database> <origin> <vkey>"))
	}
	if err := add(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "addlog:", err)
	os.Exit(1)
}

func add(database, origin, vkey string) error {
	if _, err := note.NewVerifier(vkey); err != nil {
		return err
	}
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return err
	}
	// litewitness makes the tables when it starts; it reads them at each request.
	db, err := sqlite.OpenConn(database, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetBusyTimeout(5 * time.Second)
	insert := func(query string, args ...any) error {
		return sqlitex.Execute(db, query, &sqlitex.ExecOptions{Args: args})
	}
	root := base64.StdEncoding.EncodeToString(empty[:])
	if err := insert("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", origin, root); err != nil {
		return err
	}
	return insert("INSERT INTO key (origin, key) VALUES (?, ?)", origin, vkey)
}
