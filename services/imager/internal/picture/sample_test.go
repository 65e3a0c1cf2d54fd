package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gen2brain/jpegn"
)

// photo draws something with the smoothness and the grain of a photograph, the same each time.
func photo(w, h int) *image.RGBA {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a picture, not a secret
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			grain := random.Float64() * 16
			wave := func(a, b float64) uint8 {
				return uint8(120 + 50*math.Sin(float64(x)/a) + 50*math.Cos(float64(y)/b) + grain)
			}
			m.SetRGBA(x, y, color.RGBA{R: wave(97, 131), G: wave(211, 53), B: wave(331, 77), A: 255})
		}
	}
	return m
}

func jpegBytes(t testing.TB, m image.Image, o jpegn.EncodeOptions) []byte {
	t.Helper()
	if o.Quality == 0 {
		o.Quality = 90
	}
	var b bytes.Buffer
	if err := jpegn.Encode(&b, m, &o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngBytes(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// segmentOf makes one segment of a JPEG.
func segmentOf(marker byte, body ...byte) []byte {
	out := []byte{0xff, marker, 0, 0}
	binary.BigEndian.PutUint16(out[2:], uint16(len(body)+2))
	return append(out, body...)
}

// inserted puts segments behind the start marker of a JPEG.
func inserted(src []byte, segments ...[]byte) []byte {
	out := append([]byte{}, src[:2]...)
	for _, s := range segments {
		out = append(out, s...)
	}
	return append(out, src[2:]...)
}

// exif makes an APP1 segment with an orientation and a place.
func exif(order binary.AppendByteOrder, o uint16) []byte {
	tiff := []byte("MM\x00\x2a")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		tiff = []byte("II\x2a\x00")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	for _, entry := range [][3]uint16{{0x0112, 3, o}, {0x8825, 4, 0}} { // orientation, GPS directory
		tiff = order.AppendUint16(tiff, entry[0])
		tiff = order.AppendUint16(tiff, entry[1])
		tiff = order.AppendUint32(tiff, 1)
		tiff = order.AppendUint16(tiff, entry[2])
		tiff = order.AppendUint16(tiff, 0)
	}
	return segmentOf(markAPP1, append([]byte("Exif\x00\x00"), append(tiff, "GPS 52.5N 13.4E"...)...)...)
}

// frameOf finds the frame header of a JPEG and gives the place of its height.
func frameOf(t testing.TB, src []byte) int {
	t.Helper()
	for _, marker := range []byte{markSOF0, markSOF2} {
		if i := bytes.Index(src, []byte{0xff, marker, 0, 17}); i >= 0 {
			return i + 5
		}
	}
	t.Fatal("no frame header")
	return 0
}

// sized gives a JPEG that claims another size.
func sized(t testing.TB, src []byte, w, h uint16) []byte {
	t.Helper()
	out := bytes.Clone(src)
	at := frameOf(t, out)
	binary.BigEndian.PutUint16(out[at:], h)
	binary.BigEndian.PutUint16(out[at+2:], w)
	return out
}

// inkJPEG makes a 16x16 JPEG of four channels, each of one value, as Adobe writes them; transform 0 is CMYK, 2 is YCCK.
func inkJPEG(transform byte, values [4]int) []byte {
	quant := append([]byte{0}, bytes.Repeat([]byte{8}, 64)...)
	frame := []byte{8, 0, 16, 0, 16, 4}
	scan := []byte{4}
	for id := byte(1); id <= 4; id++ {
		frame = append(frame, id, 0x11, 0)
		scan = append(scan, id, 0)
	}
	dc := append([]byte{0x00, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	ac := append([]byte{0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
	out := []byte{0xff, 0xd8}
	for _, s := range [][]byte{
		segmentOf(markAPPE, append([]byte("Adobe\x00\x64\x00\x00\x00\x00"), transform)...),
		segmentOf(0xdb, quant...), segmentOf(markSOF0, frame...), segmentOf(markDHT, dc...), segmentOf(markDHT, ac...),
		segmentOf(markSOS, append(scan, 0, 63, 0)...),
	} {
		out = append(out, s...)
	}
	var bits []byte
	put := func(v, n int) {
		for n--; n >= 0; n-- {
			bits = append(bits, byte(v>>n&1))
		}
	}
	for unit := range 4 {
		for _, v := range values {
			diff, size := v-128, 0
			if unit > 0 {
				diff = 0
			}
			for 1<<size <= max(diff, -diff) {
				size++
			}
			put(size, 4)
			if diff < 0 {
				diff += 1<<size - 1
			}
			put(diff, size)
			put(0, 1) // no detail
		}
	}
	for len(bits)%8 != 0 {
		bits = append(bits, 1)
	}
	for ; len(bits) > 0; bits = bits[8:] {
		b := byte(0)
		for _, bit := range bits[:8] {
			b = b<<1 | bit
		}
		if out = append(out, b); b == 0xff {
			out = append(out, 0)
		}
	}
	return append(out, 0xff, markEOI)
}

// pngClaiming is a PNG header and nothing else.
func pngClaiming(t testing.TB, w, h uint32, depth, kind byte) []byte {
	t.Helper()
	src := pngBytes(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	head := src[16:29]
	binary.BigEndian.PutUint32(head, w)
	binary.BigEndian.PutUint32(head[4:], h)
	head[8], head[9] = depth, kind
	binary.BigEndian.PutUint32(src[29:], crcOf(src[12:29]))
	return src
}

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// decoded reads a result and checks that it is a JPEG of the size that it says.
func decoded(t testing.TB, r Result) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(r.JPEG))
	if err != nil {
		t.Fatalf("the result is no JPEG: %v", err)
	}
	if got := m.Bounds().Size(); got != image.Pt(r.Width, r.Height) {
		t.Fatalf("the result says %dx%d and is %v", r.Width, r.Height, got)
	}
	return m
}

// rgbAt gives a pixel in 8 bits a channel.
func rgbAt(m image.Image, x, y int) [3]int {
	r, g, b, _ := m.At(x, y).RGBA()
	return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
}

func near(a, b [3]int, by int) bool {
	for i := range a {
		if max(a[i]-b[i], b[i]-a[i]) > by {
			return false
		}
	}
	return true
}
