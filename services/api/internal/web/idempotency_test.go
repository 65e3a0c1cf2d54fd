package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"handoff/services/api/internal/accept"
	"handoff/services/api/internal/web"
)

// keyOf is the key that the accept gets for a request.
func keyOf(t *testing.T, path, body, key string) (accept.Key, int) {
	t.Helper()
	w := newWorld(t)
	a := w.start(t).post(path, body, "Idempotency-Key: "+key)
	if len(w.accepts.keys) == 0 {
		return accept.Key{}, a.status
	}
	return w.accepts.keys[0], a.status
}

func TestTheSameRequestHasTheSameKey(t *testing.T) {
	t.Parallel()
	const image = `{"image_url":"http://example.org/a.jpg","operations":["resize",{"name":"compress","quality":80}]}`
	first, _ := keyOf(t, "/users/", ada, `"k"`)
	if first == (accept.Key{}) {
		t.Fatal("there is no key")
	}
	picture, _ := keyOf(t, "/process-image/", image, "k")
	task, _ := keyOf(t, "/async-task/", "", "k")
	for name, c := range map[string]struct {
		path, body, key string
		like            accept.Key
		same            bool
	}{
		"once more":          {"/users/", ada, `"k"`, first, true},
		"without a slash":    {"/users", ada, `"k"`, first, true},
		"with a query":       {"/users/?a=b", ada, `"k"`, first, true},
		"a bare key":         {"/users/", ada, "k", first, true},
		"an escape":          {"/users/", ada, `"\"\\"`, accept.NewKey(`"\`, []byte("POST /users/\n"+ada)), true},
		"white space":        {"/users/", " " + strings.ReplaceAll(ada, ",", ",\n "), "k", first, true},
		"another order":      {"/users/", `{"username":"Ada","email":"ada@example.org"}`, "k", first, true},
		"letters as escapes": {"/users/", `{"email":"\u0061da@example.org","username":"Ada"}`, "k", first, true},
		"another user":       {"/users/", strings.Replace(ada, "Ada", "ADA", 1), "k", first, false},
		"another path":       {"/users/with-notifications/", ada, "k", first, false},
		"another key":        {"/users/", ada, "K", first, false},
		"a picture":          {"/process-image/", strings.Replace(image, "80", " 80 ", 1), "k", picture, true},
		"another option":     {"/process-image/", strings.Replace(image, "80", "81", 1), "k", picture, false},
		"no digit is lost": {"/process-image/", strings.Replace(image, "80", "9007199254740993", 1), "k",
			accept.NewKey("k", []byte("POST /process-image/\n"+strings.Replace(image, "80", "9007199254740993", 1))), true},
		"a task":                {"/async-task", "", "k", task, true},
		"a task, asked for":     {"/async-task/", "{}", "k", task, false},
		"no key":                {"/users/", ada, "", accept.Key{}, true},
		"the request's sum":     {"/users/", ada, "k", accept.NewKey("k", []byte("POST /users/\n"+ada)), true},
		"an empty body's sum":   {"/async-task/", "", "k", accept.NewKey("k", []byte("POST /async-task/\n")), true},
		"a body's sum in order": {"/users/", `{"username":"Ada","email":"ada@example.org"}`, "k", accept.NewKey("k", []byte("POST /users/\n"+ada)), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, status := keyOf(t, c.path, c.body, c.key)
			if status >= 300 || (got == c.like) != c.same {
				t.Errorf("answered with %d; the same: %v, want %v", status, got == c.like, c.same)
			}
		})
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(t)
	for name, key := range map[string]string{
		"empty string":     `""`,
		"no end":           `"k`,
		"more behind":      `"k"l`,
		"parameters":       `"k";a=1`,
		"list":             `"k", "l"`,
		"bare list":        "k, l",
		"wrong escape":     `"\k"`,
		"escape at an end": `"k\`,
		"quoted space":     `"k l"`,
		"tab":              "k\tl",
		"not ASCII":        "kä",
		"too long":         strings.Repeat("k", 256),
		"too long, quoted": `"` + strings.Repeat("k", 256) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.with(t).post("/users/", ada, "Idempotency-Key: "+key).problem(422)
			if len(p.Errors) != 1 || p.Errors[0].Location != "header.Idempotency-Key" || p.Errors[0].Value != nil {
				t.Errorf("errors are %+v, want one about the header, without its value", p.Errors)
			}
		})
	}
	for _, fields := range [][]string{{""}, {"k", "k"}} { // an empty one, and two
		t.Run(fmt.Sprint(fields), func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+"/users/", strings.NewReader(ada))
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Idempotency-Key"] = fields
			req.Header.Set("Content-Type", "application/json")
			resp, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("%q: %d, want 422", fields, resp.StatusCode)
			}
		})
	}
	c.post("/users/", `{"email":"a@b","username":"Ada"}`, "Idempotency-Key: k l").problem(422)
	t.Cleanup(func() {
		if len(w.accepts.keys) > 0 {
			t.Errorf("%d were accepted", len(w.accepts.keys))
		}
	})
	newWorld(t).start(t).post("/users/", ada, "Idempotency-Key: "+strings.Repeat("~", 255)).is(201)
}

func TestAnAnswerToARepeatedKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err    error
		status int
		retry  string
	}{"reused": {accept.ErrKeyReused, 422, ""}, "under way": {accept.ErrInFlight, 409, "1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.accepts.err = fmt.Errorf("accept: %w", tt.err)
			for path, body := range map[string]string{"/users/": ada, "/users/with-notifications/": ada, "/async-task/": ""} {
				w.start(t).post(path, body, "Idempotency-Key: k").has("Retry-After", tt.retry).problem(tt.status)
			}
		})
	}
}

// Any key comes out of its quoted form as it went in, and a bare one is the same.
func TestQuotedAndBareKeysAreTheSame(t *testing.T) {
	t.Parallel()
	var visible []rune
	for r := '!'; r <= '~'; r++ {
		visible = append(visible, r)
	}
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.StringOfN(rapid.RuneFrom(visible), 1, 255, 255).Draw(rt, "key")
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if got, err := web.ParseKey(quoted); err != nil || got != key {
			rt.Fatalf("%s is read as %q (%v)", quoted, got, err)
		}
		if got, err := web.ParseKey(key); key[0] != '"' && (err != nil || got != key) {
			rt.Fatalf("%s is read as %q (%v)", key, got, err)
		}
	})
}

// The canonical form is the same for every way of writing the same JSON, and says which JSON it was.
func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := map[string]any{}
		for i := range rapid.IntRange(0, 5).Draw(rt, "fields") {
			v[rapid.String().Draw(rt, "name")+fmt.Sprint(i)] = rapid.OneOf(
				rapid.Map(rapid.String(), func(s string) any { return s }),
				rapid.Map(rapid.Int64(), func(n int64) any { return n }),
				rapid.Map(rapid.SliceOf(rapid.Bool()), func(b []bool) any { return b }),
			).Draw(rt, "value")
		}
		plain, err := json.Marshal(v)
		if err != nil {
			rt.Fatal(err)
		}
		var wide bytes.Buffer
		if err := json.Indent(&wide, plain, " ", "\t"); err != nil {
			rt.Fatal(err)
		}
		a, b := web.Canonical("POST", "/x/", plain), web.Canonical("POST", "/x/", wide.Bytes())
		if !bytes.Equal(a, b) {
			rt.Fatalf("%s and %s", a, b)
		}
		if want := "POST /x/\n" + string(plain); string(a) != want {
			rt.Fatalf("the canonical form is %s, want %s", a, want)
		}
	})
}
