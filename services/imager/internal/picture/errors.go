package picture

import "fmt"

// A Code says what is wrong with a picture or with what was asked of it. Codes are part of what the service promises:
// they lead the error text of a task.
type Code string

// The codes there are.
const (
	// BadOperation is an operation, or an option of one, that is not known or not possible.
	BadOperation Code = "bad_operation"
	// UnsupportedFormat is something else than a JPEG, PNG, GIF or (still) WebP picture.
	UnsupportedFormat Code = "unsupported_format"
	// CorruptImage is a picture that is cut short or damaged.
	CorruptImage Code = "corrupt_image"
	// TooManyPixels is a picture with more pixels, or a longer side, than the limits allow.
	TooManyPixels Code = "too_many_pixels"
	// TooManyScans is a JPEG that is drawn over itself more often than any camera or editor does it.
	TooManyScans Code = "too_many_scans"
	// TooLarge is a file of more bytes than the limits allow.
	TooLarge Code = "too_large"
)

// An Error is a fault of the picture or of the request. It is final: the same bytes fail the same way.
type Error struct {
	Code    Code
	Message string // what is wrong and what to change, for whoever asked
	Err     error  // the decoder's own words, if any; not part of the text
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap gives the decoder's error.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports that a retry is of no use: always true.
func (e *Error) Permanent() bool { return true }

func failf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func corrupt(format Format, err error) *Error {
	return &Error{
		Code:    CorruptImage,
		Message: fmt.Sprintf("the %s file is cut short or damaged; save or upload it again", format.Name()),
		Err:     err,
	}
}
