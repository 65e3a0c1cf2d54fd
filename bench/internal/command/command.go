// Package command is the frame of every measuring command: its flags, its signals and its exit code.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a command until it is done or told to stop, and ends the process with its exit code.
func Main(run func(ctx context.Context, args []string, out, errOut io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run reads the arguments, does what they ask for and gives the exit code: 0, 1 for a failure, 2 for a wrong flag.
func Run[C any](
	ctx context.Context, name string, args []string, errOut io.Writer,
	parse func(args []string, errOut io.Writer) (C, error), do func(ctx context.Context, cfg C) error,
) int {
	cfg, err := parse(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errOut, "%s: %v\n", name, err)
		return 2
	}
	err = do(ctx, cfg)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Parse reads arguments that are flags and nothing else. Asked for help, it shows them and returns [flag.ErrHelp].
func Parse(flags *flag.FlagSet, args []string, errOut io.Writer) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(errOut)
		fmt.Fprintf(errOut, "Usage: go run ./bench/%s [flags]\n", flags.Name())
		flags.PrintDefaults()
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return err
}

// DiskDir is a directory for what is temporary that is on a disk, where the system has one: /tmp is memory on many.
func DiskDir() string {
	if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() {
		return "/var/tmp"
	}
	return os.TempDir()
}
