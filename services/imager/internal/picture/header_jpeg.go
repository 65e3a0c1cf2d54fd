package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/gen2brain/jpegn"
)

// jpegHeader is what the segments of a JPEG say about the work that it will be.
type jpegHeader struct {
	components  int
	progressive bool
	rgb         bool // its channels are red, green and blue
	ordinary    bool // its sampling is one that has a name: no detour through RGB
	samples     int64
	mcuHeight   int // rows of pixels that are coded together
	restarts    int // restart markers there are
	interval    int // units between restart markers; 0 without
	mcus        int
}

var errSegment = errors.New("a segment is cut short or out of place")

// readJPEGHeader walks the segments of the whole file, since scans and the end marker are known by walking only. The
// size is what jpegn takes it for: were the two to differ, a limit could be passed by one and broken by the other.
func readJPEGHeader(src []byte) (Header, error) {
	h := Header{orientation: upright}
	w := jpegWalk{src: src, at: 2, header: &h}
	if err := w.run(); err != nil {
		return Header{}, err
	}
	if h.jpeg.ordinary {
		if cfg, err := jpegn.DecodeConfig(bytes.NewReader(src)); err != nil {
			h.jpeg.ordinary = false
		} else if err := h.agrees(cfg); err != nil {
			return Header{}, err
		}
	}
	// Where it gives an error now it gives the same one before it decodes.
	if cfg, err := jpeg.DecodeConfig(bytes.NewReader(src)); err == nil {
		if err := h.agrees(cfg); err != nil {
			return Header{}, err
		}
	}
	return h, nil
}

func (h Header) agrees(cfg image.Config) error {
	if cfg.Width != h.Width || cfg.Height != h.Height {
		return fmt.Errorf("it claims to be both %dx%d and %dx%d", h.Width, h.Height, cfg.Width, cfg.Height)
	}
	return nil
}

// A jpegWalk goes from segment to segment.
type jpegWalk struct {
	src    []byte
	at     int
	header *Header
	frame  bool // the frame header was seen
	adobe  int  // colour transform that Adobe's segment names; -1 without
}

// JPEG's markers, as far as they matter here.
const (
	markSOF0 = 0xc0 // frame, baseline
	markSOF1 = 0xc1 // frame, extended
	markSOF2 = 0xc2 // frame, progressive
	markDHT  = 0xc4
	markJPG  = 0xc8
	markDAC  = 0xcc
	markSOF  = 0xcf // the last of the frames
	markRST0 = 0xd0
	markRST7 = 0xd7
	markEOI  = 0xd9
	markSOS  = 0xda
	markDRI  = 0xdd
	markAPP1 = 0xe1
	markAPPE = 0xee
	markTEM  = 0x01
)

func (w *jpegWalk) run() error {
	w.adobe = -1
	for {
		marker, ok := w.next()
		if !ok {
			return errors.New("the end marker is missing")
		}
		switch {
		case marker == markEOI:
			if !w.frame || w.header.scans == 0 {
				return errors.New("there is no picture in it")
			}
			return nil
		case marker == 0: // a stuffed byte of a scan
			continue
		case marker >= markRST0 && marker <= markRST7:
			w.header.jpeg.restarts++
			continue
		case marker == markTEM:
			continue
		}
		body, err := w.segment()
		if err != nil {
			return err
		}
		if err := w.take(marker, body); err != nil {
			return err
		}
	}
}

// next moves behind the next marker. Whatever lies before it is skipped: a scan's data, or rubbish, as decoders do.
func (w *jpegWalk) next() (byte, bool) {
	i := bytes.IndexByte(w.src[w.at:], 0xff)
	if i < 0 {
		return 0, false
	}
	w.at += i
	for w.at < len(w.src) && w.src[w.at] == 0xff {
		w.at++
	}
	if w.at >= len(w.src) {
		return 0, false
	}
	w.at++
	return w.src[w.at-1], true
}

func (w *jpegWalk) segment() ([]byte, error) {
	if w.at+2 > len(w.src) {
		return nil, errSegment
	}
	length := int(binary.BigEndian.Uint16(w.src[w.at:]))
	if length < 2 || w.at+length > len(w.src) {
		return nil, errSegment
	}
	body := w.src[w.at+2 : w.at+length]
	w.at += length
	return body, nil
}

func (w *jpegWalk) take(marker byte, body []byte) error {
	switch {
	case marker == markSOS:
		w.header.scans++
	case marker == markDRI && len(body) >= 2:
		w.header.jpeg.interval = int(binary.BigEndian.Uint16(body))
	case marker == markAPP1 && !w.frame:
		if o := exifOrientation(body); o != 0 && w.header.orientation == upright {
			w.header.orientation = o
		}
	case marker == markAPPE && len(body) >= 12 && string(body[:5]) == "Adobe":
		w.adobe = int(body[11])
		w.header.jpeg.ordinary = false // where the frame was before it: decoders differ on what it means then
	case marker == markDHT, marker == markJPG, marker == markDAC:
	case marker >= markSOF0 && marker <= markSOF:
		return w.takeFrame(marker, body)
	}
	return nil
}

func (w *jpegWalk) takeFrame(marker byte, body []byte) error {
	if w.frame {
		return errors.New("there are two frames in it")
	}
	if marker > markSOF2 || len(body) < 6 || body[0] != 8 {
		return failf(UnsupportedFormat, "the JPEG is lossless, arithmetic-coded or of more than 8 bits; save it as an ordinary JPEG")
	}
	w.frame = true
	h, n := w.header, int(body[5])
	h.Height, h.Width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if n != 1 && n != 3 && n != 4 {
		return failf(UnsupportedFormat, "the JPEG has %d channels; save it as RGB or grey", n)
	}
	if len(body) < 6+3*n {
		return errSegment
	}
	h.jpeg.components, h.jpeg.progressive = n, marker == markSOF2
	parts := body[6 : 6+3*n]
	h.jpeg.rgb = n == 3 && (w.adobe == 0 || string([]byte{parts[0], parts[3], parts[6]}) == "RGB")
	return h.measure(parts)
}

// measure works out the sampling: how many samples there are of all channels, edges included.
func (h *Header) measure(parts []byte) error {
	j := &h.jpeg
	maxX, maxY, units := 1, 1, 0
	for i := 0; i < len(parts); i += 3 {
		x, y := int(parts[i+1]>>4), int(parts[i+1]&15)
		if j.components == 1 {
			x, y = 1, 1 // means nothing for one channel
		}
		if x == 0 || y == 0 || x > 4 || y > 4 {
			return errors.New("its sampling is out of range")
		}
		maxX, maxY, units = max(maxX, x), max(maxY, y), units+x*y
	}
	mcusX, mcusY := (h.Width+8*maxX-1)/(8*maxX), (h.Height+8*maxY-1)/(8*maxY)
	j.mcus, j.mcuHeight = mcusX*mcusY, 8*maxY
	j.samples = int64(j.mcus) * int64(units) * 64
	j.ordinary = j.components == 1 || (j.components == 3 && !j.rgb && ordinarySampling(parts))
	return nil
}

// ordinarySampling reports whether colour is as fine as brightness, or a half or a quarter of it.
func ordinarySampling(parts []byte) bool {
	switch parts[1] {
	case 0x11, 0x12, 0x21, 0x22, 0x41, 0x42:
		return parts[4] == 0x11 && parts[7] == 0x11
	}
	return false
}
