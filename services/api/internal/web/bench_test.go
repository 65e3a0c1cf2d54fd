package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/user"
	"handoff/services/api/internal/web"
)

// BenchmarkRegister is POST /users/ over real connections, with an accept that costs nothing: what the web adds to it. The
// client's part is in the figure.
func BenchmarkRegister(b *testing.B) {
	w := &world{known: &known{}, album: &album{}}
	s := web.New(web.Options{
		Accepter: instant{}, Reader: w.known, Waiter: &waits{known: w.known}, Pictures: w.album,
		Log: slog.New(slog.DiscardHandler),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			b.Error(err)
		}
	}()

	const request = "POST /users/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n" + ada
	b.SetParallelism(32) // connections for each processor
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		buf := make([]byte, 4<<10)
		for pb.Next() {
			if _, err := io.WriteString(conn, request); err != nil {
				b.Error(err)
				return
			}
			n, err := conn.Read(buf) // an answer is far smaller than a packet on the loopback
			if err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 201 ")) {
				b.Errorf("%q, %v", buf[:n], err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// instant accepts everything and keeps nothing.
type instant struct{ web.Accepter }

func (instant) Register(_ context.Context, _ accept.Key, email, username string, _ bool, _ ...accept.Option) (user.User, error) {
	return user.User{
		ID: "0199f3c1-6f0e-7c3a-9d55-0d2f6a2b9c11", Email: email, Username: username,
		Created: time.Unix(1772366400, 123456000), JobID: "0199f3c1-6f0e-7c3a-9d55-1e3a7b3cad22",
	}, nil
}
