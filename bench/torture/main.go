// Torture runs the tests that try to break siemd's promises, one promise
// after the other, and prints one table of promises against trials.
//
//	go run ./bench/torture           the long form; hours
//	go run ./bench/torture -short    as make test runs them
//
// With SIEMD_TORTURE=N the long form has N kills of the log, not 10,000, which
// alone take half an hour and more.
//
// A test says how often it tried with the attribute "trials" (testing.T.Attr);
// the subtests of others are counted.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A promise and the test that tries to break it.
type promise struct {
	text, pkg, run string
}

func main() {
	short := flag.Bool("short", false, "the short forms")
	only := flag.String("run", "", "only promises whose text or test fits this regular expression")
	list := flag.Bool("list", false, "print the promises and their tests")
	flag.Parse()
	if *list {
		for _, p := range promises {
			fmt.Printf("%-70s %s %s\n", p.text, p.pkg, p.run)
		}
		return
	}
	if !*short && os.Getenv("SIEMD_TORTURE") == "" {
		os.Setenv("SIEMD_TORTURE", "1")
	}
	fit := regexp.MustCompile(*only)
	broken := 0
	fmt.Printf("%-72s %10s %9s  %s\n", "promise", "trials", "broken", "time")
	for _, p := range promises {
		if !fit.MatchString(p.text) && !fit.MatchString(p.run) {
			continue
		}
		began := time.Now()
		t := p.try()
		broken += t.failed
		verdict := strconv.Itoa(t.failed)
		if t.skipped > 0 && t.trials == 0 {
			verdict = "skipped"
		}
		fmt.Printf("%-72s %10d %9s  %s\n", p.text, t.trials, verdict, time.Since(began).Round(time.Second))
		if t.failed > 0 {
			fmt.Fprint(os.Stderr, t.output.String())
		}
	}
	if broken > 0 {
		os.Exit(1)
	}
}

// A tally is what came of one promise.
type tally struct {
	trials, failed, skipped int
	output                  strings.Builder
}

// try runs the promise's test.
func (p promise) try() *tally {
	cmd := exec.Command("go", "test", "-json", "-race", "-count=1", "-timeout", "12h", "-run", p.run, p.pkg)
	out, err := cmd.StdoutPipe()
	t := &tally{}
	cmd.Stderr = &t.output
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.failed++
		fmt.Fprintln(&t.output, err)
		return t
	}
	t.read(out)
	if cmd.Wait() != nil && t.failed == 0 {
		t.failed++ // it did not even compile
	}
	return t
}

// read counts what "go test -json" prints (cmd/test2json).
func (t *tally) read(r io.Reader) {
	said, parents := map[string]bool{}, map[string]bool{}
	var ran []string
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var e struct{ Action, Package, Test, Output, Key, Value string }
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Fprintln(&t.output, in.Text())
			continue
		}
		switch e.Action {
		case "output", "build-output":
			t.output.WriteString(e.Output)
		case "attr":
			if n, err := strconv.Atoi(e.Value); err == nil && e.Key == "trials" {
				t.trials += n
				said[e.Test] = true
			}
		case "run":
			parents[above(e.Test)] = true
			ran = append(ran, e.Test)
		case "fail":
			if e.Test != "" && !parents[e.Test] {
				t.failed++
			}
		case "skip":
			if e.Test != "" {
				t.skipped++
				said[e.Test] = true
			}
		}
	}
	for _, test := range ran {
		counts := !parents[test]
		for up := test; counts && up != ""; up = above(up) {
			counts = !said[up]
		}
		if counts {
			t.trials++
		}
	}
}

// above is the test that a subtest belongs to; none for one of the first order.
func above(test string) string {
	return test[:max(0, strings.LastIndexByte(test, '/'))]
}
