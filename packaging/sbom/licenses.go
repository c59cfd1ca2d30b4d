package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"
)

// writeLicenses writes the licence and notice of each module of the binary, and
// those of Go itself. goroot and cache are the folders that the go command keeps
// its own and the modules' sources in. A module without one is an error: it may not be shipped.
func writeLicenses(w io.Writer, info *debug.BuildInfo, goroot, cache string) error {
	fmt.Fprintln(w, "siemd contains the following modules, under the terms that follow each.")
	if err := writeModule(w, "Go "+info.GoVersion, goroot); err != nil {
		return err
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		dir := filepath.Join(cache, escape(dep.Path)+"@"+escape(dep.Version))
		if err := writeModule(w, dep.Path+" "+dep.Version, dir); err != nil {
			return err
		}
	}
	return nil
}

func writeModule(w io.Writer, title, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if isLicense(e.Name()) && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return errors.New(title + ": there is no licence in " + dir)
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 78), title, name, strings.TrimSpace(string(text))); err != nil {
			return err
		}
	}
	return nil
}

func isLicense(name string) bool {
	name = strings.ToUpper(name)
	for _, prefix := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && (rest == "" || strings.ContainsAny(rest[:1], ".-")) {
			return !strings.HasSuffix(name, ".GO")
		}
	}
	return false
}

// escape is how the module cache spells capitals, for filesystems without them.
func escape(path string) string {
	var b strings.Builder
	for _, r := range path {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
