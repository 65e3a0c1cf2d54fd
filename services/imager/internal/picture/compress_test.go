package picture

import "testing"

func TestCompress(t *testing.T) {
	t.Parallel()
	src := pngBytes(t, photo(200, 150))
	size := func(c *Compress) int {
		r, _ := mustProcess(t, src, Plan{Compress: c})
		return len(r.JPEG)
	}
	if a, b, c, d := size(&Compress{Quality: 10}), size(&Compress{Quality: 80}), size(nil), size(&Compress{Quality: 100}); a >= b || b >= c || c >= d {
		t.Errorf("sizes at quality 10, 80, none (90) and 100 are %d, %d, %d, %d: they should rise", a, b, c, d)
	}
}
