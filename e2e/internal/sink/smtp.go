package sink

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Letter is one message that the mail server has taken.
type Letter struct {
	To        string // the address of the envelope
	MessageID string // without its brackets
	At        time.Time
}

// A Mailbox is a mail server (SMTP, RFC 5321) that takes everything, and keeps who wrote what.
type Mailbox struct {
	Addr string

	takes time.Duration
	mu    sync.Mutex
	got   []Letter
	conns map[net.Conn]bool // nil once it is closed
}

// NewMailbox starts one. A message counts once it is there whole; the answer to it comes after takes.
func NewMailbox(t testing.TB, takes time.Duration) *Mailbox {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is there at once
	if err != nil {
		t.Fatal(err)
	}
	m := &Mailbox{Addr: ln.Addr().String(), takes: takes, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // it is closed
			}
			if !m.open(conn) {
				return
			}
			all.Go(func() {
				defer m.done(conn)
				m.talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close() // nobody is left to come
		m.close()
		all.Wait()
	})
	return m
}

// Letters gives what was taken so far.
func (m *Mailbox) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter(nil), m.got...)
}

func (m *Mailbox) open(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conns == nil {
		_ = conn.Close()
		return false
	}
	m.conns[conn] = true
	return true
}

func (m *Mailbox) done(conn net.Conn) {
	_ = conn.Close() // whatever was to be said was said
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, conn)
}

func (m *Mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn := range m.conns {
		_ = conn.Close()
	}
	m.conns = nil
}

// talk is one session.
func (m *Mailbox) talk(conn net.Conn) {
	c := textproto.NewConn(conn)
	s := session{box: m, c: c}
	if c.PrintfLine("220 sink ready") != nil {
		return
	}
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		if err := s.answer(line); err != nil {
			return
		}
	}
}

type session struct {
	box      *Mailbox
	c        *textproto.Conn
	from, to bool
	envelope []string
}

var errQuit = errors.New("the client has said goodbye")

func (s *session) answer(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return s.c.PrintfLine("250-sink\r\n250 8BITMIME")
	case "HELO":
		return s.c.PrintfLine("250 sink")
	case "NOOP":
		return s.c.PrintfLine("250 fine")
	case "RSET":
		s.reset()
		return s.c.PrintfLine("250 forgotten")
	case "MAIL":
		s.reset()
		s.from = true
		return s.c.PrintfLine("250 sender taken")
	case "RCPT":
		if !s.from {
			return s.c.PrintfLine("503 MAIL comes first")
		}
		_, to, _ := strings.Cut(rest, "<")
		to, _, _ = strings.Cut(to, ">")
		s.envelope, s.to = append(s.envelope, to), true
		return s.c.PrintfLine("250 recipient taken")
	case "DATA":
		if !s.to {
			return s.c.PrintfLine("503 RCPT comes first")
		}
		return s.data()
	case "QUIT":
		_ = s.c.PrintfLine("221 goodbye")
		return errQuit
	}
	return s.c.PrintfLine("502 not known here")
}

func (s *session) reset() { s.from, s.to, s.envelope = false, false, nil }

// data takes a message, unless it breaks off.
func (s *session) data() error {
	if err := s.c.PrintfLine("354 go on, end with a dot"); err != nil {
		return err
	}
	body, err := io.ReadAll(s.c.DotReader())
	if err != nil {
		return err // it is not whole, and so it is not taken
	}
	msg, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		s.reset()
		return s.c.PrintfLine("554 that is no message")
	}
	id := strings.Trim(msg.Header.Get("Message-Id"), "<>")
	s.box.mu.Lock()
	for _, to := range s.envelope {
		s.box.got = append(s.box.got, Letter{To: to, MessageID: id, At: time.Now()})
	}
	s.box.mu.Unlock()
	s.reset()
	time.Sleep(s.box.takes)
	return s.c.PrintfLine("250 taken")
}
