package picture

import (
	"fmt"
	"math"
	"testing"
)

func TestFit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		box            *Resize
		w, h, toW, toH int
	}{
		{nil, 6000, 4000, 6000, 4000},
		{&Resize{1280, 1280}, 6000, 4000, 1280, 853},
		{&Resize{1280, 1280}, 4000, 6000, 853, 1280},
		{&Resize{1280, 1280}, 1280, 1280, 1280, 1280},
		{&Resize{1280, 1280}, 200, 100, 200, 100}, // never enlarged
		{&Resize{10000, 50}, 200, 100, 100, 50},
		{&Resize{640, math.MaxInt}, 1280, 3000, 640, 1500},
		{&Resize{math.MaxInt, 300}, 100, 3000, 10, 300},
		{&Resize{10, 10}, 20000, 1, 10, 1}, // a side never vanishes
		{&Resize{1, 1}, 3, 2, 1, 1},
	} {
		t.Run(fmt.Sprintf("%v of %dx%d", tt.box, tt.w, tt.h), func(t *testing.T) {
			t.Parallel()
			if w, h := tt.box.fit(tt.w, tt.h); w != tt.toW || h != tt.toH {
				t.Errorf("got %dx%d, want %dx%d", w, h, tt.toW, tt.toH)
			}
		})
	}
}
