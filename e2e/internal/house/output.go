package house

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
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

// Tail gives the last n lines.
func (o *Output) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(o.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// A Line is one line of a log in JSON.
type Line struct {
	Level   string `json:"level"`
	Msg     string `json:"msg"`
	Service string `json:"service"`
	Job     string `json:"job"`
}

// Lines reads the log; what is no line of it, as a message about the configuration, is in rest.
func (o *Output) Lines() (lines []Line, rest string) {
	for text := range strings.Lines(o.String()) {
		var l Line
		if json.Unmarshal([]byte(text), &l) == nil && l.Msg != "" {
			lines = append(lines, l)
		} else {
			rest += text
		}
	}
	return lines, rest
}
