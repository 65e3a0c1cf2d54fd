package smtp_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// A script is an SMTP server that answers as it is told: for replies that a real one gives too seldom.
type script struct {
	addr string

	greeting string            // "" for 220
	ehlo     []string          // extensions
	replies  map[string]string // by the first word of a command, "." for the end of a message; "hangup" and "silence" are no replies

	mu       sync.Mutex
	commands []string
	conns    []net.Conn
}

func startScript(t *testing.T, s *script) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			running.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

func (s *script) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewScanner(conn)
	inData := false
	say := func(reply string) bool {
		switch reply {
		case "silence":
			return true
		case "hangup":
			return false
		}
		_, err := fmt.Fprintf(conn, "%s\r\n", reply)
		return err == nil
	}
	if s.greeting == "" {
		s.greeting = "220 script"
	}
	for ok := say(s.greeting); ok && in.Scan(); {
		line := in.Text()
		if inData && line != "." {
			continue
		}
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		reply, told := s.replies[verb]
		switch {
		case told:
		case verb == "EHLO":
			reply = "250-script"
			for _, ext := range s.ehlo {
				reply += "\r\n250-" + ext
			}
			reply += "\r\n250 HELP"
		case verb == "DATA":
			reply = "354 go on"
		case verb == "QUIT":
			reply = "221 bye"
		default:
			reply = "250 ok"
		}
		inData = verb == "DATA" && strings.HasPrefix(reply, "354")
		ok = say(reply)
	}
}

// heard gives the commands with the given first word.
func (s *script) heard(verb string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, c := range s.commands {
		if v, _, _ := strings.Cut(c, " "); v == verb {
			found = append(found, c)
		}
	}
	return found
}
