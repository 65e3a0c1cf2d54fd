package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

func printTitle(w io.Writer, n int, how, path string) error {
	_, err := fmt.Fprintf(w, "Testing %d %s requests to %s\n", n, how, path)
	return err
}

func printTimes(w io.Writer, t times) error {
	_, err := fmt.Fprintf(w, "Total time: %s seconds\nAverage time per request: %s seconds\n\n", seconds(t.total), seconds(t.average()))
	return err
}

// printGain says of both ends how long it took until then, and how much faster that is than one after the other.
func printGain(w io.Writer, sequential, accepted, done times) error {
	for _, end := range []struct {
		name string
		times
	}{
		{"Accepted: every request was answered, the work is kept", accepted},
		{"All done: every job has ended as succeeded", done},
	} {
		_, err := fmt.Fprintf(w, "%s\nTotal time: %s seconds\nAverage time per request: %s seconds\nPerformance improvement: %.2fx faster!\n\n",
			end.name, seconds(end.total), seconds(end.average()), end.fasterThan(sequential))
		if err != nil {
			return err
		}
	}
	return nil
}

// seconds keeps two places, as the demo did, and as many more as a short time needs to show two figures.
func seconds(d time.Duration) string {
	places := 2
	for limit := 100 * time.Millisecond; d < limit && places < 6; limit /= 10 {
		places++
	}
	return strconv.FormatFloat(d.Seconds(), 'f', places, 64)
}

// bars makes progress bars, which only a terminal gets to see.
type bars struct {
	w       io.Writer
	visible bool
}

func newBars(w io.Writer) bars {
	f, ok := w.(*os.File)
	return bars{w: w, visible: ok && term.IsTerminal(int(f.Fd()))} //nolint:gosec // a descriptor is an int
}

func (b bars) start(n int, what string) bar {
	p := progressbar.NewOptions(n,
		progressbar.OptionSetWriter(b.w), progressbar.OptionSetVisibility(b.visible), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	if b.visible {
		_ = p.RenderBlank()
	}
	return bar{p, b.visible}
}

type bar struct {
	p       *progressbar.ProgressBar
	visible bool
}

// step says that one more is there. That a bar can't be drawn changes no measurement.
func (b bar) step() { _ = b.p.Add(1) }

// stop takes the bar away, also an unfinished one.
func (b bar) stop() {
	if b.visible {
		_ = b.p.Clear()
	}
}
