package picture

// An orientation is how a camera was held: the value of the EXIF tag, 1 to 8. 1 is upright; 5 and more lie on a side.
type orientation int

const upright orientation = 1

// lying reports whether width and height change places when the picture is turned upright.
func (o orientation) lying() bool { return o >= 5 && o <= 8 }

// turn gives r upright.
func (r *raster) turn(o orientation) *raster {
	if o <= upright || o > 8 {
		return r
	}
	out := &raster{w: r.w, h: r.h, y: r.y.turn(o)}
	if o.lying() {
		out.w, out.h = r.h, r.w
	}
	for _, c := range r.c {
		out.c = append(out.c, c.turn(o))
	}
	return out
}

// turn walks the upright plane and takes each sample from where it lies in p.
func (p plane) turn(o orientation) plane {
	w, h := p.w, p.h
	if o.lying() {
		w, h = h, w
	}
	// The sample for the upright corner lies at start; one step right and one step down go as far in p.
	left, right := 0, p.w-1
	top, bottom := 0, (p.h-1)*p.rowStride
	start, across, down := 0, 1, p.rowStride
	switch o {
	case 2: // mirrored
		start, across, down = right+top, -1, p.rowStride
	case 3: // upside down
		start, across, down = right+bottom, -1, -p.rowStride
	case 4: // upside down and mirrored
		start, across, down = left+bottom, 1, -p.rowStride
	case 5: // mirrored about the falling diagonal
		start, across, down = left+top, p.rowStride, 1
	case 6: // a quarter turn to the right makes it upright
		start, across, down = left+bottom, -p.rowStride, 1
	case 7: // mirrored about the rising diagonal
		start, across, down = right+bottom, -p.rowStride, -1
	case 8: // a quarter turn to the left makes it upright
		start, across, down = right+top, p.rowStride, -1
	}
	out := newPlane(w, h)
	for y := range h {
		from := start + y*down
		row := out.row(y)
		for x := range row {
			row[x] = p.pix[from]
			from += across
		}
	}
	return out
}
