package picture

import (
	"bytes"
	"encoding/binary"
)

// exifOrientation reads the orientation from a JPEG's APP1 segment: 0 when it has none. jpegn could turn the picture
// itself, but only at the decoded size and through RGB; here the small result is turned.
func exifOrientation(body []byte) orientation {
	tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II\x2a\x00":
		order = binary.LittleEndian
	case "MM\x00\x2a":
		order = binary.BigEndian
	default:
		return 0
	}
	const (
		entrySize = 12
		tag       = 0x0112
		short     = 3
	)
	at := int64(order.Uint32(tiff[4:]))
	if at < 8 || at+2 > int64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < entrySize {
			return 0
		}
		entry := entries[:entrySize]
		entries = entries[entrySize:]
		if order.Uint16(entry) != tag {
			continue
		}
		if o := orientation(order.Uint16(entry[8:])); order.Uint16(entry[2:]) == short && o >= upright && o <= 8 {
			return o
		}
		return 0
	}
	return 0
}
