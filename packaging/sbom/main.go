// Command sbom reads a Go binary and says what it is made of: as a CycloneDX
// document, or as the texts of the licences of all its modules.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	version := flag.String("version", "", "version of the program itself; default: what the binary says")
	licenses := flag.Bool("licenses", false, "write the texts of the licences")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "sbom [-version V] [-licenses] BINARY")
		os.Exit(64)
	}
	if err := run(os.Stdout, flag.Arg(0), *version, *licenses); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(w io.Writer, path, version string, licenses bool) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if licenses {
		goroot, cache := os.Getenv("GOROOT"), os.Getenv("GOMODCACHE")
		if goroot == "" || cache == "" {
			return errors.New("set GOROOT and GOMODCACHE to what 'go env' says: that is where the licences are")
		}
		return writeLicenses(w, info, goroot, cache)
	}
	if version != "" {
		info.Main.Version = version
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return writeSBOM(w, info, binary, epoch())
}

// epoch is SOURCE_DATE_EPOCH, so that the same binary has the same document; else the start of 1970.
func epoch() time.Time {
	n, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		n = 0
	}
	return time.Unix(n, 0).UTC()
}
