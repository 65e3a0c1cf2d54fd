package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/gen2brain/jpegn"
	"golang.org/x/image/draw"
)

// BenchmarkProcess takes pictures from bytes to bytes: resize, watermark, compress.
func BenchmarkProcess(b *testing.B) {
	plan := Plan{Resize: &Resize{Width: 1280, Height: 1280}, Watermark: &Watermark{Text: "Handoff"}, Compress: &Compress{Quality: 80}}
	photo24 := photo(6000, 4000)
	alpha := image.NewNRGBA(image.Rect(0, 0, 4000, 3000))
	draw.Draw(alpha, alpha.Rect, photo24, image.Point{}, draw.Src)
	for i := 3; i < len(alpha.Pix); i += 16 {
		alpha.Pix[i] = 100
	}
	fast := png.Encoder{CompressionLevel: png.BestSpeed}
	var alphaPNG bytes.Buffer
	if err := fast.Encode(&alphaPNG, alpha); err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name string
		src  []byte
	}{
		{"jpeg24", jpegBytes(b, photo24, jpegn.EncodeOptions{Quality: 85})},
		{"jpeg24progressive", jpegBytes(b, photo24, jpegn.EncodeOptions{Quality: 85, Progressive: true})},
		{"jpeg12", jpegBytes(b, photo24.SubImage(image.Rect(0, 0, 4000, 3000)), jpegn.EncodeOptions{Quality: 85})},
		{"jpeg3", jpegBytes(b, photo24.SubImage(image.Rect(0, 0, 2000, 1500)), jpegn.EncodeOptions{Quality: 85})},
		{"png12alpha", alphaPNG.Bytes()},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Process(b.Context(), bm.src, plan); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPlain is the same work as anyone would write it first: standard decoder, x/image, standard encoder.
func BenchmarkPlain(b *testing.B) {
	src := jpegBytes(b, photo(6000, 4000), jpegn.EncodeOptions{Quality: 85})
	b.ReportAllocs()
	for b.Loop() {
		m, err := jpeg.Decode(bytes.NewReader(src))
		if err != nil {
			b.Fatal(err)
		}
		small := image.NewRGBA(image.Rect(0, 0, 1280, 853))
		draw.CatmullRom.Scale(small, small.Rect, m, m.Bounds(), draw.Src, nil)
		var out bytes.Buffer
		if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 80}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResample compares the loops of this package with the library's on what is left of a 24 megapixel photo.
func BenchmarkResample(b *testing.B) {
	m, err := jpegn.Decode(bytes.NewReader(jpegBytes(b, photo(3000, 2000), jpegn.EncodeOptions{})))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fromYCbCr(m.(*image.YCbCr)).resize(1280, 853)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			small := image.NewRGBA(image.Rect(0, 0, 1280, 853))
			draw.CatmullRom.Scale(small, small.Rect, m, m.Bounds(), draw.Src, nil)
		}
	})
}
