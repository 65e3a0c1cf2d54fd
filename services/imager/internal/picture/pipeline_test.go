package picture

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"testing"

	"github.com/gen2brain/jpegn"
)

func mustProcess(t testing.TB, src []byte, plan Plan) (Result, image.Image) {
	t.Helper()
	r, err := Process(t.Context(), src, plan)
	if err != nil {
		t.Fatal(err)
	}
	return r, decoded(t, r)
}

// Every kind of source gives the picture that it holds: compared with the same pixels taken from a PNG.
func TestEveryKindOfJPEG(t *testing.T) {
	t.Parallel()
	m := photo(150, 100)
	plan := Plan{Resize: &Resize{Width: 60, Height: 60}, Compress: &Compress{Quality: 95}}
	_, want := mustProcess(t, pngBytes(t, m), plan)
	grey := image.NewGray(m.Bounds())
	draw.Draw(grey, grey.Bounds(), m, image.Point{}, draw.Src)
	_, wantGrey := mustProcess(t, pngBytes(t, grey), plan)

	for name, o := range map[string]jpegn.EncodeOptions{
		"4:4:4":                {Subsampling: jpegn.Subsample444},
		"4:2:2":                {Subsampling: jpegn.Subsample422},
		"4:4:0":                {Subsampling: jpegn.Subsample440},
		"4:2:0":                {Subsampling: jpegn.Subsample420},
		"progressive":          {Progressive: true, Subsampling: jpegn.Subsample420},
		"progressive 4:4:4":    {Progressive: true, Subsampling: jpegn.Subsample444},
		"restart markers":      {RestartInterval: 3},
		"optimised":            {OptimizeCoding: true},
		"grey":                 {Subsampling: jpegn.SubsampleGray},
		"progressive grey":     {Subsampling: jpegn.SubsampleGray, Progressive: true},
		"restarts progressive": {RestartInterval: 2, Progressive: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Quality = 98
			want := want
			if o.Subsampling == jpegn.SubsampleGray {
				want = wantGrey
			}
			src := jpegBytes(t, m, o)
			for _, tail := range []string{"", "rubbish behind the end \xff\xd8\xff"} {
				r, got := mustProcess(t, append(src[:len(src):len(src)], tail...), plan)
				if r.Source.Format != JPEG || r.Source.Width != 150 || r.Source.Height != 100 {
					t.Errorf("source is %+v", r.Source)
				}
				for _, at := range []image.Point{{5, 5}, {30, 20}, {55, 35}} {
					if a, b := rgbAt(got, at.X, at.Y), rgbAt(want, at.X, at.Y); !near(a, b, 12) {
						t.Errorf("pixel %v is %v, want about %v", at, a, b)
					}
				}
			}
		})
	}
}

func TestInkColours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		transform byte
		values    [4]int // Adobe writes inks the wrong way round: 255 is none, and 0 in YCCK
		want      [3]int
	}{
		{"CMYK red", 0, [4]int{255, 0, 0, 255}, [3]int{255, 0, 0}},
		{"CMYK grey", 0, [4]int{255, 255, 255, 128}, [3]int{128, 128, 128}},
		{"YCCK white", 2, [4]int{0, 128, 128, 255}, [3]int{255, 255, 255}},
		{"YCCK dark", 2, [4]int{195, 128, 128, 255}, [3]int{60, 60, 60}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, m := mustProcess(t, inkJPEG(tt.transform, tt.values), Plan{})
			if got := rgbAt(m, 8, 8); !near(got, tt.want, 6) {
				t.Errorf("colour is %v, want about %v", got, tt.want)
			}
		})
	}
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	b := image.Rect(0, 0, 40, 30)
	half := func(m draw.Image, c color.Color) draw.Image { // left half c, right half left as it is
		draw.Draw(m, image.Rect(0, 0, 20, 30), image.NewUniform(c), image.Point{}, draw.Src)
		return m
	}
	red, white := [3]int{250, 10, 10}, [3]int{255, 255, 255}
	solid := color.NRGBA{R: 250, G: 10, B: 10, A: 255}
	palette := color.Palette{color.NRGBA{}, solid}
	grey := half(image.NewGray16(b), color.Gray16{Y: 0x8000})
	draw.Draw(grey, image.Rect(20, 0, 40, 30), image.White, image.Point{}, draw.Src)

	for _, tt := range []struct {
		name        string
		src         []byte
		left, right [3]int
	}{
		{"transparent PNG", pngBytes(t, half(image.NewNRGBA(b), solid)), red, white},
		{"half transparent PNG", pngBytes(t, half(image.NewNRGBA(b), color.NRGBA{A: 128})), [3]int{127, 127, 127}, white},
		{"16-bit PNG", pngBytes(t, half(image.NewNRGBA64(b), solid)), red, white},
		{"16-bit grey PNG", pngBytes(t, grey), [3]int{128, 128, 128}, white},
		{"palette PNG with transparency", pngBytes(t, half(image.NewPaletted(b, palette), solid)), red, white},
		{"GIF", gifBytes(t, 1, half(image.NewPaletted(b, palette), solid)), red, white},
		{"lossy WebP", unbase64(t, webpLossy), red, white},
		{"transparent lossy WebP", unbase64(t, webpTransparent), red, white},
		{"GIF of 5000 frames", gifBytes(t, 5000, half(image.NewPaletted(b, palette), solid)), red, white},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, m := mustProcess(t, tt.src, Plan{})
			w, h := m.Bounds().Dx(), m.Bounds().Dy()
			if got := rgbAt(m, w/4, h/2); !near(got, tt.left, 8) {
				t.Errorf("left is %v, want about %v", got, tt.left)
			}
			if got := rgbAt(m, w-1-w/8, h/2); !near(got, tt.right, 8) {
				t.Errorf("right is %v, want about %v", got, tt.right)
			}
		})
	}
}

func gifFrame() *image.Paletted { return image.NewPaletted(image.Rect(0, 0, 50, 50), gifPalette) }

func gifBytes(t testing.TB, frames int, m image.Image) []byte {
	t.Helper()
	g := &gif.GIF{}
	for range frames {
		g.Image = append(g.Image, m.(*image.Paletted))
		g.Delay = append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A frame that is smaller than the GIF's screen stays in its place.
func TestSmallFrameOfAGIF(t *testing.T) {
	t.Parallel()
	palette := color.Palette{color.Black, color.White}
	g := &gif.GIF{
		Image: []*image.Paletted{image.NewPaletted(image.Rect(30, 20, 40, 30), palette)}, Delay: []int{0},
		Config: image.Config{Width: 60, Height: 40, ColorModel: palette},
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	r, m := mustProcess(t, b.Bytes(), Plan{})
	if r.Width != 60 || r.Height != 40 {
		t.Fatalf("size is %dx%d, want the screen's 60x40", r.Width, r.Height)
	}
	for at, want := range map[image.Point]int{{35, 25}: 0, {4, 4}: 255, {55, 35}: 255, {20, 25}: 255} {
		if got := rgbAt(m, at.X, at.Y); !near(got, [3]int{want, want, want}, 10) {
			t.Errorf("pixel %v is %v, want about %d", at, got, want)
		}
	}
}

func TestOddSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []image.Point{{1, 1}, {1, 2000}, {2000, 1}, {2, 3}, {7, 9}, {16, 17}, {33, 31}, {65, 64}, {257, 129}} {
		for _, sampling := range []jpegn.Subsampling{jpegn.Subsample420, jpegn.Subsample444, jpegn.SubsampleGray} {
			for _, box := range []int{1, 2, 5, 16, 5000} {
				t.Run(fmt.Sprintf("%v %d %d", size, sampling, box), func(t *testing.T) {
					t.Parallel()
					src := jpegBytes(t, photo(size.X, size.Y), jpegn.EncodeOptions{Subsampling: sampling})
					plan := Plan{Resize: &Resize{Width: box, Height: box}, Watermark: &Watermark{Text: "Handoff"}}
					r, _ := mustProcess(t, src, plan)
					if r.Width > max(1, min(box, size.X)) || r.Height > max(1, min(box, size.Y)) {
						t.Errorf("size is %dx%d", r.Width, r.Height)
					}
				})
			}
		}
	}
}

func TestSameBytesEachTime(t *testing.T) {
	t.Parallel()
	src := jpegBytes(t, photo(300, 200), jpegn.EncodeOptions{})
	plan := Plan{Resize: &Resize{Width: 100, Height: 100}, Watermark: &Watermark{Text: "Handoff"}, Compress: &Compress{Quality: 70}}
	first, _ := mustProcess(t, src, plan)
	for range 3 {
		if again, _ := mustProcess(t, src, plan); !bytes.Equal(first.JPEG, again.JPEG) {
			t.Fatal("the same source and plan gave other bytes")
		}
	}
}

func TestNoMetadataSurvives(t *testing.T) {
	t.Parallel()
	src := inserted(jpegBytes(t, photo(40, 30), jpegn.EncodeOptions{}), exif(binary.BigEndian, 6),
		segmentOf(0xfe, []byte("comment: secret")...), segmentOf(0xe2, []byte("ICC_PROFILE\x00secret")...))
	r, _ := mustProcess(t, src, Plan{})
	for _, s := range []string{"Exif", "GPS", "52.5N", "secret"} {
		if bytes.Contains(r.JPEG, []byte(s)) {
			t.Errorf("the result holds %q", s)
		}
	}
}

func TestTheContextIsLookedAt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("job cancelled")
	cancel(why)
	if _, err := Process(ctx, jpegBytes(t, photo(8, 8), jpegn.EncodeOptions{}), Plan{}); !errors.Is(err, why) {
		t.Errorf("error is %v, want the context's cause", err)
	}
}

// gifPalette is black and white.
var gifPalette = color.Palette{color.Black, color.White}

// TestWebP reads the smallest pictures of each kind: lossy, lossless, lossy with transparency.
func TestWebP(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"lossy":       "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
		"lossless":    webpLossless,
		"transparent": "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA==",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, m := mustProcess(t, unbase64(t, text), Plan{})
			if r.Source.Format != WebP || r.Width != 1 || r.Height != 1 {
				t.Errorf("result is %+v", r.Source)
			}
			t.Log(rgbAt(m, 0, 0))
		})
	}
}

const (
	webpLossless = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
	// Left half red, right half white or transparent.
	webpLossy = "UklGRlQAAABXRUJQVlA4IEgAAACQAwCdASogACAAPi0QhkKhoQ36AAwBYlkALUWgH4AfgAAwTXXgAP73WS//YzH7Rn+SV//D/v4f9/D/v/h/3/6e" +
		"1YxIMnJBYAA="
	webpTransparent = "UklGRoIAAABXRUJQVlA4WAoAAAAQAAAAHwAAHwAAQUxQSBMAAAABDzD/ERFCLJjMXzqC/oj+R/EGAFZQOCBIAAAAkAMAnQEqIAAgAD4tEIZC" +
		"oaEN+gAMAWJZAC1FoB+AH4AAME114AD+91kv/2Mx+0Z/klf/w/7+H/fw/7/4f9/6W+rNoNisMQAA"
)

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The brightness of a lossy WebP runs from 16 to 235.
func TestWebPRange(t *testing.T) {
	t.Parallel()
	m := image.NewYCbCr(image.Rect(0, 0, 4, 1), image.YCbCrSubsampleRatio444)
	copy(m.Y, []byte{16, 235, 0, 126})
	copy(m.Cb, []byte{128, 16, 240, 0})
	copy(m.Cr, []byte{128, 128, 128, 128})
	widen(m)
	if want := []byte{0, 255, 0, 128}; !bytes.Equal(m.Y, want) {
		t.Errorf("brightness is %v, want %v", m.Y, want)
	}
	if want := []byte{128, 1, 255, 0}; !bytes.Equal(m.Cb, want) {
		t.Errorf("colour is %v, want %v", m.Cb, want)
	}
}
