package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
)

// An asset is a file that never changes while the server runs. It is kept compressed, as nearly everybody wants it.
type asset struct {
	contentType string
	policy      string                 // its Content-Security-Policy; empty: the strictest, which every answer has
	load        func() ([]byte, error) // gives it compressed by gzip; called once, when it is first asked for
}

type loaded struct {
	gzipped []byte
	etag    string
}

func (a asset) handler() fiber.Handler {
	load := sync.OnceValues(func() (loaded, error) {
		b, err := a.load()
		if err != nil {
			return loaded{}, err
		}
		sum := sha256.Sum256(b)
		return loaded{gzipped: b, etag: `W/"` + hex.EncodeToString(sum[:8]) + `"`}, nil
	})
	return func(c *fiber.Ctx) error {
		l, err := load()
		if err != nil {
			return err
		}
		return a.send(c, l)
	}
}

func (a asset) send(c *fiber.Ctx, l loaded) error {
	c.Set(fiber.HeaderETag, l.etag)
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	c.Set(fiber.HeaderCacheControl, "public, max-age=300")
	if a.policy != "" {
		c.Set(fiber.HeaderContentSecurityPolicy, a.policy)
	}
	if noneMatch(c.Get(fiber.HeaderIfNoneMatch), l.etag) {
		c.Status(http.StatusNotModified)
		return nil
	}
	c.Set(fiber.HeaderContentType, a.contentType)
	if strings.Contains(c.Get(fiber.HeaderAcceptEncoding), "gzip") {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(l.gzipped)
	}
	plain, err := uncompress(l.gzipped)
	if err != nil {
		return err
	}
	return c.Send(plain)
}

// compressed gives the bytes of read, compressed.
func compressed(read func() ([]byte, error)) func() ([]byte, error) {
	return func() ([]byte, error) {
		plain, err := read()
		if err != nil {
			return nil, err
		}
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		if _, err := w.Write(plain); err != nil {
			return nil, fmt.Errorf("compress asset: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("compress asset: %w", err)
		}
		return buf.Bytes(), nil
	}
}

func uncompress(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("uncompress asset: %w", err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("uncompress asset: %w", err)
	}
	return plain, nil
}
