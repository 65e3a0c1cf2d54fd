package house

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// An Output is what a program has written, over all of its runs. It is safe for concurrent use.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String gives all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Since gives the whole lines that were written after the first n bytes, and how many bytes there are with them.
func (o *Output) Since(n int) (text string, end int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.buf.Bytes()[n:]
	rest = rest[:bytes.LastIndexByte(rest, '\n')+1]
	return string(rest), n + len(rest)
}

// Tail gives the last n lines.
func (o *Output) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(o.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// A Line is one line of a log in JSON.
type Line struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Msg     string    `json:"msg"`
	Service string    `json:"service"`
	Job     string    `json:"job"`
}

// Lines reads the log; what is no line of it, as a message about the configuration, is in rest.
func (o *Output) Lines() (lines []Line, rest string) { return ReadLines(o.String()) }

// ReadLines reads a part of a log, as [Output.Lines] does the whole.
func ReadLines(log string) (lines []Line, rest string) {
	for text := range strings.Lines(log) {
		var l Line
		if json.Unmarshal([]byte(text), &l) == nil && l.Msg != "" {
			lines = append(lines, l)
		} else {
			rest += text
		}
	}
	return lines, rest
}
