package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"handoff/bench/internal/command"
	"handoff/bench/internal/embedded"
)

const (
	defaultURL = "http://127.0.0.1:8000"
	maxN       = 1000
)

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	return command.Run(ctx, "compare", args, errOut, parse, func(ctx context.Context, cfg config) error { return compare(ctx, cfg, out, errOut) })
}

type config struct {
	url *url.URL
	n   int
}

func parse(args []string, errOut io.Writer) (config, error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	address := flags.String("url", defaultURL, "where Handoff serves its API; when nothing answers there and it is this machine, it is started")
	n := flags.Int("n", 10, "how many requests of each kind")
	err := command.Parse(flags, args, errOut)
	if err != nil {
		return config{}, err
	}
	if *n < 1 || *n > maxN {
		return config{}, fmt.Errorf("-n is %d: use 1 to %d", *n, maxN)
	}
	u, err := url.Parse(strings.TrimRight(*address, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" {
		return config{}, fmt.Errorf("-url is %q: use an address such as %s", *address, defaultURL)
	}
	return config{url: u, n: *n}, nil
}

// compare finds Handoff or starts it, measures and reports.
func compare(ctx context.Context, cfg config, out, errOut io.Writer) (err error) {
	c := newClient(cfg.url.String(), cfg.n)
	err = c.alive(ctx)
	if errors.Is(err, errNobody) && isLocal(cfg.url) {
		fmt.Fprintf(errOut, "Nothing answers at %s: Handoff is built and started there, on data that is removed at the end.\n\n", cfg.url)
		child, serr := embedded.Start(ctx, embedded.Options{Command: embedded.Default, Addr: listenAddr(cfg.url)})
		if serr != nil {
			return serr
		}
		defer func() { err = errors.Join(err, child.Stop()) }()
		err = nil
	}
	if err != nil {
		return err
	}
	return measure(ctx, c, cfg.n, out, newBars(errOut))
}

// isLocal reports whether what u names could be started by us: plain HTTP on a loopback address.
func isLocal(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && u.Path == "" && (u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()))
}

func listenAddr(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
