package sample

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/jpeg"
	"sync"
)

// Landscape is the name of the picture that there is.
const Landscape = "landscape.jpg"

// quality is where the file is small and the gradients of the sky still show no bands.
const quality = 82

// A Picture is an encoded picture.
type Picture struct {
	Data        []byte // not to be changed
	ContentType string
	Digest      string // SHA-256 of Data in hexadecimal
}

// Set holds the sample pictures. Make one with [New]; it is safe for concurrent use.
type Set struct {
	landscape func() (Picture, error)
}

// New gives the sample pictures; nothing is drawn yet.
func New() *Set {
	return &Set{landscape: sync.OnceValues(encode)}
}

// Picture gives the picture of that name and whether there is one. The first call for a name draws it, which takes some
// tens of milliseconds; all others share the outcome.
func (s *Set) Picture(name string) (Picture, bool, error) {
	if name != Landscape {
		return Picture{}, false, nil
	}
	p, err := s.landscape()
	return p, err == nil, err
}

func encode() (Picture, error) {
	img, err := draw(width, height)
	if err != nil {
		return Picture{}, err
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: quality}); err != nil {
		return Picture{}, fmt.Errorf("encode sample %s: %w", Landscape, err)
	}
	sum := sha256.Sum256(buf.Bytes())
	return Picture{Data: buf.Bytes(), ContentType: "image/jpeg", Digest: hex.EncodeToString(sum[:])}, nil
}
