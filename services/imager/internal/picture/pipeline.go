package picture

import (
	"context"
	"fmt"
)

// A Picture is a source whose header was read and found to be within the limits, with what is to be done to it.
type Picture struct {
	Header

	src    []byte
	plan   Plan
	w, h   int // of the result
	limits Limits
	cost   cost
}

// A Result is a finished picture.
type Result struct {
	JPEG          []byte
	Width, Height int
	Source        Header
}

// Open reads the header of src and decides how the plan will be carried out, decoding nothing. The error is an [*Error].
// The caller leaves src alone until Process has returned.
func Open(src []byte, plan Plan, limits Limits) (*Picture, error) {
	limits = limits.withDefaults()
	if int64(len(src)) > limits.Bytes {
		return nil, failf(TooLarge, "the file has %d bytes and %d are allowed; send a smaller one", len(src), limits.Bytes)
	}
	header, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	if err := limits.check(header); err != nil {
		return nil, err
	}
	p := &Picture{Header: header, src: src, plan: plan, limits: limits}
	p.w, p.h = plan.Resize.fit(header.size())
	p.cost = header.estimate(int64(len(src)), p.w, p.h, limits.Memory)
	if p.cost.memory > limits.Memory {
		return nil, failf(TooManyPixels, "the %dx%d %s would take %d MB of memory and %d are allowed; send a smaller one, or a baseline JPEG",
			p.Width, p.Height, p.Format.Name(), p.cost.memory>>20, limits.Memory>>20)
	}
	return p, nil
}

// Memory is what Process will need at most, in bytes: the weight by which pictures are admitted.
func (p *Picture) Memory() int64 { return p.cost.memory }

// Process does the work. The error is an [*Error] where the picture is at fault, and otherwise the context's cause: that
// is looked at between steps, none of which takes longer than a second or two within the default limits.
func (p *Picture) Process(ctx context.Context) (Result, error) {
	var r *raster
	var out []byte
	steps := []struct {
		name string
		do   func() error
	}{
		{"decode", func() (err error) { r, err = p.decode(); return err }},
		{"resize", func() error { r = r.resize(p.stored()); return nil }},
		{"turn", func() error { r = r.turn(p.orientation); return nil }},
		{"watermark", func() error { return p.plan.Watermark.apply(r) }},
		{"encode", func() (err error) { out, err = p.plan.Compress.encode(r); return err }},
	}
	for _, step := range steps {
		if ctx.Err() != nil {
			return Result{}, fmt.Errorf("%s picture: %w", step.name, context.Cause(ctx))
		}
		if err := step.do(); err != nil {
			return Result{}, err
		}
	}
	return Result{JPEG: out, Width: p.w, Height: p.h, Source: p.Header}, nil
}

// stored is the size of the result before it is turned upright.
func (p *Picture) stored() (int, int) {
	if p.orientation.lying() {
		return p.h, p.w
	}
	return p.w, p.h
}

// Process opens src within the default limits and does the work.
func Process(ctx context.Context, src []byte, plan Plan) (Result, error) {
	p, err := Open(src, plan, Limits{})
	if err != nil {
		return Result{}, err
	}
	return p.Process(ctx)
}
