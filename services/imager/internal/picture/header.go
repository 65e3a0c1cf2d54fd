package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"strings"

	"golang.org/x/image/webp"
)

// A Format is a kind of picture file that can be read.
type Format string

// The formats that can be read. What a file is called, or said to be, is of no account: its first bytes are.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif" // its first frame
	WebP Format = "webp"
)

// Name is how people write the format.
func (f Format) Name() string {
	if f == WebP {
		return "WebP"
	}
	return strings.ToUpper(string(f))
}

// A Header is what a picture says about itself before it is decoded.
type Header struct {
	Format        Format
	Width, Height int // as stored: a camera held upright may have stored the picture lying

	orientation orientation
	scans       int        // of a JPEG: how often it is drawn
	jpeg        jpegHeader // of a JPEG
	pixelBytes  int64      // of the others: what the decoder needs for a pixel
}

// size is the picture's size once it is upright.
func (h Header) size() (int, int) {
	if h.orientation.lying() {
		return h.Height, h.Width
	}
	return h.Width, h.Height
}

func sniff(src []byte) (Format, bool) {
	switch {
	case bytes.HasPrefix(src, []byte("\xff\xd8")):
		return JPEG, true
	case bytes.HasPrefix(src, []byte("\x89PNG\r\n\x1a\n")):
		return PNG, true
	case bytes.HasPrefix(src, []byte("GIF87a")), bytes.HasPrefix(src, []byte("GIF89a")):
		return GIF, true
	case len(src) >= 12 && string(src[:4]) == "RIFF" && string(src[8:12]) == "WEBP":
		return WebP, true
	}
	return "", false
}

// readHeader reads what can be known without decoding. It allocates next to nothing, whatever the header claims.
func readHeader(src []byte) (h Header, err error) {
	format, ok := sniff(src)
	if !ok {
		return Header{}, failf(UnsupportedFormat, "the file begins with %s, which is no JPEG, PNG, GIF or WebP; send one of those", beginning(src))
	}
	defer func() {
		if p := recover(); p != nil {
			h, err = Header{}, corrupt(format, fmt.Errorf("header reader panicked: %v", p))
		}
	}()
	switch format {
	case JPEG:
		h, err = readJPEGHeader(src)
	case PNG:
		h, err = readPNGHeader(src)
	case GIF:
		h, err = readGIFHeader(src)
	case WebP:
		h, err = readWebPHeader(src)
	}
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return Header{}, err
		}
		return Header{}, corrupt(format, err)
	}
	h.Format = format
	return h, nil
}

// beginning describes the first bytes of something that isn't a picture.
func beginning(src []byte) string {
	if len(src) == 0 {
		return "nothing (it is empty)"
	}
	return fmt.Sprintf("%q", src[:min(len(src), 12)])
}

func readPNGHeader(src []byte) (Header, error) {
	cfg, err := png.DecodeConfig(bytes.NewReader(src))
	if err != nil {
		return Header{}, err
	}
	h := plainHeader(cfg)
	const (
		interlace = 28 // place of the interlace method in the file
		transpare = "tRNS"
	)
	switch {
	case cfg.ColorModel == color.GrayModel && !pngHasChunk(src, transpare):
		h.pixelBytes = 1
	case cfg.ColorModel == color.Gray16Model && !pngHasChunk(src, transpare):
		h.pixelBytes = 2
	}
	if len(src) > interlace && src[interlace] != 0 {
		h.pixelBytes *= 2 // its passes are pictures of their own
	}
	return h, nil
}

// pngHasChunk looks for a chunk before the pixels. Grey with one transparent shade is decoded as colour.
func pngHasChunk(src []byte, name string) bool {
	for at := 8; at+8 <= len(src); {
		length, kind := binary.BigEndian.Uint32(src[at:]), string(src[at+4:at+8])
		if kind == name {
			return true
		}
		if kind == "IDAT" || int64(length) > int64(len(src)) {
			return false
		}
		at += 12 + int(length)
	}
	return false
}

func readGIFHeader(src []byte) (Header, error) {
	cfg, err := gif.DecodeConfig(bytes.NewReader(src))
	if err != nil {
		return Header{}, err
	}
	h := plainHeader(cfg)
	h.pixelBytes = 2 // an index a pixel, and once more for an interlaced frame
	return h, nil
}

func readWebPHeader(src []byte) (Header, error) {
	const (
		animation = 1 << 1
		alpha     = 1 << 4
	)
	features, err := webpFeatures(src)
	if err != nil {
		return Header{}, err
	}
	if features&animation != 0 {
		return Header{}, failf(UnsupportedFormat, "the WebP is animated; send a still picture")
	}
	cfg, err := webp.DecodeConfig(bytes.NewReader(src))
	if err != nil {
		return Header{}, err
	}
	h := plainHeader(cfg)
	h.pixelBytes = 4
	if features&alpha != 0 {
		h.pixelBytes = 8 // the transparency is a picture of its own
	}
	return h, nil
}

// webpFeatures gives the flags of the chunk that announces features, 0 without one. It refuses a chunk that claims more
// bytes than the file has, because the decoder makes room for what a chunk claims.
func webpFeatures(src []byte) (features byte, err error) {
	const head = 8 // name and length
	for at := 12; len(src)-at >= head; {
		name, length := string(src[at:at+4]), int64(binary.LittleEndian.Uint32(src[at+4:]))
		at += head
		if length > int64(len(src)-at) {
			return 0, errSegment
		}
		switch {
		case name == "VP8X" && length > 0:
			features = src[at]
		case name == "VP8 ", name == "VP8L":
			return features, nil // what follows is not read
		}
		at += int(length + length&1)
	}
	return features, nil
}

func plainHeader(cfg image.Config) Header {
	h := Header{Width: cfg.Width, Height: cfg.Height, orientation: upright, scans: 1, pixelBytes: 4}
	if _, ok := cfg.ColorModel.(color.Palette); ok {
		h.pixelBytes = 1
		return h
	}
	switch cfg.ColorModel {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		h.pixelBytes = 8
	}
	return h
}
