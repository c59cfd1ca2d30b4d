// Package cli is the siemd command. Results go to stdout, diagnostics to
// stderr; the exit code says what kind of thing went wrong.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, after sysexits(3) where one fits.
const (
	exitOK          = 0
	exitFailure     = 1  // something went wrong at run time
	exitFound       = 2  // the command did its work and found something: damage, a failing step, a difference
	exitUsage       = 64 // the command line is wrong
	exitUnreachable = 69 // no agent, or no SIEM, answers
	exitCannotMake  = 73 // a file cannot be created, or data_dir is in use
	exitIO          = 74
	exitPermission  = 77
	exitConfig      = 78
)

// exitError carries an exit code to Main. An empty message prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit wraps err, which may be nil, so that Main exits with code.
func exit(code int, err error) error { return &exitError{code: code, err: err} }

// streams are the standard streams, so that tests can give others.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command line args, without the program's name, and returns the exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return run(ctx, args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

func run(ctx context.Context, args []string, std streams) int {
	out := &results{w: std.out}
	std.out = out
	root := newRoot(std)
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.RunE = needsSubcommand(std) // a shell that it does not know is a mistake
	}
	root.SetArgs(commandFirst(root, args))
	err := root.ExecuteContext(ctx)
	var ee *exitError
	if failure := out.failure(); failure != nil && (!errors.As(err, &ee) || ee.code == exitOK) {
		err = exit(exitIO, failure) // whatever the command made of it
	}
	if err == nil {
		return exitOK
	}
	if errors.As(err, &ee) {
		if msg := ee.Error(); msg != "" {
			fmt.Fprintf(std.err, "siemd: %s\n", msg)
		}
		return ee.code
	}
	fmt.Fprintf(std.err, "siemd: %v\n", err)
	fmt.Fprintf(std.err, "see 'siemd help'\n")
	return exitUsage
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "siemd COMMAND",
		Short:         "takes events from apps into a durable log and delivers them to SIEMs",
		Version:       readVersion().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          needsSubcommand(std),
		Example: strings.Trim(`
  siemd demo                           # see it work: no config, no SIEM
  siemd check -c /etc/siemd/siemd.yaml
  siemd run   -c /etc/siemd/siemd.yaml`, "\n"),
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(commands(std)...)
	root.SetHelpCommand(newHelp(std))
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// commands are all of siemd's commands.
func commands(std streams) []*cobra.Command {
	return []*cobra.Command{
		newDemo(std), newInit(std), newCheck(std), newExplain(std), newRun(std), newElastic(std),
		newStatus(std), newTop(std), newTap(std), newReload(std), newTest(std), newFailed(std), newConnections(std),
		newSend(std), newExport(std), newFlush(std), newDrain(std), newPurge(std), newAudit(std),
		newDoctor(std), newBundle(std),
		newWAL(std), newSink(std), newSchema(std), newVersion(std),
	}
}

// needsSubcommand is what a command that is only a group does: it shows its help, as a mistake.
func needsSubcommand(std streams) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(std.err)
		_ = cmd.Help() // std.err is all there is to complain to
		return exit(exitUsage, nil)
	}
}

// configFlag adds -c. Without it $SIEMD_CONFIG counts, else the packaged place.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig(), "config file")
}

func defaultConfig() string {
	if p := os.Getenv("SIEMD_CONFIG"); p != "" {
		return p
	}
	return "/etc/siemd/siemd.yaml"
}
