package tests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// schemaGaps are further schemas of replies that Redis gives, as the scripts
// show, and the published schemas have forgotten.
var schemaGaps = map[string]string{
	"hello":                   `{"type": "object"}`, // after HELLO 2
	"command|getkeys":         `{"type": "array"}`,  // DEL a b a: keys are not unique
	"command|getkeysandflags": `{"type": "array"}`,
	"object|refcount":         `{"type": "null"}`, // no such key
	"object|idletime":         `{"type": "null"}`,
	"object|freq":             `{"type": "null"}`,
	"lmove":                   `{"type": "null"}`,                                                              // no such list
	"xrange":                  `{"type": "null"}`,                                                              // COUNT 0
	"xrevrange":               `{"type": "null"}`,                                                              // COUNT 0
	"ping":                    `{"type": "array"}`,                                                             // while subscribed
	"geohash":                 `{"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}}`, // no such member
	"xpending":                `{"type": "array", "minItems": 4, "maxItems": 4}`,                               // 0 nil nil nil: nothing is pending
	"xclaim":                  `{"type": "array", "items": {"type": "array"}}`,                                 // an ID given twice
	"xreadgroup":              `{"type": "object", "additionalProperties": {"type": "array"}}`,                 // CLAIM adds to entries
	"xinfo|stream":            `{"type": "object"}`,                                                            // active-time is -1 before any activity
	"zrange":                  flatPairs,
	"zunion":                  flatPairs,
	"zpopmin":                 flatPairs,
	"zpopmax":                 flatPairs,
}

// flatPairs is the reply of members and scores in RESP2: scores may be equal.
const flatPairs = `{"type": "array", "items": {"type": "string"}}`

// TestReplySchemas plays every script in both protocols and checks each reply
// against the published schema of its command.
func TestReplySchemas(t *testing.T) {
	all := facts(t)
	paths, err := filepath.Glob("../command/testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, path := range paths {
		s, err := readScript(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sec := range s.sections {
			for _, proto := range []int{2, 3} {
				if sec.proto == 0 || sec.proto == proto {
					checkSchemas(t, all, s, sec, proto, checked)
				}
			}
		}
	}
	t.Logf("the replies of %d commands fit their schemas", len(checked))
}

func checkSchemas(t *testing.T, all map[string]*fact, s *script, sec *section, proto int, checked map[string]bool) {
	srv := startSynap(t, "loop", sec.options)
	defer srv.stop()
	r := newRun(t, s, sec, srv, proto)
	chosen := map[string]int{} // protocol by client, where it is not the section's
	r.judge = func(st *step, v value) error {
		r.compare(st, v) // TestScripts speaks of differences; here it keeps the variables
		if st.verb == "raw>" || v.isError() || v.text == "QUEUED" || v.kind == 'x' || st.verb == "wait" {
			return nil
		}
		args, _ := splitArgs(st.text)
		f := factOf(all, args)
		if f == nil || f.Schema == nil {
			return nil
		}
		checked[f.Name] = true
		switch {
		case f.Name == "reset", f.Name == "hello" && len(args) > 1 && args[1] == "2":
			chosen[st.client] = 2
		case f.Name == "hello" && len(args) > 1:
			chosen[st.client] = 3
		}
		proto := cmp.Or(chosen[st.client], proto)
		published := f.Schema
		if f.Name == "command|docs" {
			published = withOwnGroups(t, published)
		}
		err := fits(published, v, proto)
		if gap := schemaGaps[f.Name]; err != nil && gap != "" {
			err = fits(json.RawMessage(gap), v, proto)
		}
		if err != nil {
			return fmt.Errorf("%s: the reply does not fit the published schema: %w\n  %s", st.text, err, v.render())
		}
		return nil
	}
	r.steps()
}

// withOwnGroups lets a schema that lists the groups of commands list ours too.
func withOwnGroups(t *testing.T, schema json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, schema); err != nil {
		t.Fatal(err)
	}
	const last = `{"const":"transactions"}`
	all := last
	for _, name := range ownGroups {
		all += fmt.Sprintf(`,{"const":%q}`, name)
	}
	return json.RawMessage(strings.Replace(b.String(), last, all, 1))
}

func factOf(all map[string]*fact, args []string) *fact {
	if len(args) == 0 {
		return nil
	}
	if len(args) > 1 {
		if f := all[strings.ToLower(args[0]+"|"+args[1])]; f != nil {
			return f
		}
	}
	return all[strings.ToLower(args[0])]
}

// schema is the part of JSON Schema that the published data uses.
type schema struct {
	Type                 string
	Const                any
	Pattern              string
	Minimum              *float64
	MinItems             int
	MaxItems             *int
	UniqueItems          bool
	Items                json.RawMessage
	AdditionalItems      json.RawMessage
	OneOf, AnyOf         []json.RawMessage
	Properties           map[string]json.RawMessage
	PatternProperties    map[string]json.RawMessage
	AdditionalProperties json.RawMessage
	Ref                  string `json:"$ref"`
}

// fits says why a reply does not fit a schema. Where protocol 2 has no such
// type, its stand-in fits: pairs for a map, a bulk for a double.
func fits(raw json.RawMessage, v value, proto int) error {
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if choices := append(s.OneOf, s.AnyOf...); len(choices) > 0 {
		var errs []string
		for _, c := range choices {
			err := fits(c, v, proto)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("none of: %s", strings.Join(errs, "; "))
	}
	if s.Const != nil && fmt.Sprint(s.Const) != v.text {
		return fmt.Errorf("%q is not %v", v.text, s.Const)
	}
	return s.fits(v, proto)
}

func (s *schema) fits(v value, proto int) error {
	null := v.null || v.kind == '_'
	bad := fmt.Errorf("%s where a %s is due", v.renderShort(), s.Type)
	switch s.Type {
	case "null":
		if !null {
			return bad
		}
	case "string":
		if null || !strings.ContainsRune("+$=", rune(v.kind)) {
			return bad
		}
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v.text) {
			return fmt.Errorf("%q does not match %s", v.text, s.Pattern)
		}
	case "integer", "number":
		n, err := strconv.ParseFloat(v.text, 64)
		standIn := s.Type == "number" && (v.kind == ',' || v.kind == '$' && proto == 2)
		if err != nil || null || v.kind != ':' && !standIn {
			return bad
		}
		if s.Minimum != nil && n < *s.Minimum {
			return fmt.Errorf("%v is below %v", n, *s.Minimum)
		}
	case "array":
		if null || !strings.ContainsRune("*~>", rune(v.kind)) {
			return bad
		}
		return s.fitsArray(v, proto)
	case "object":
		return s.fitsObject(v, proto)
	}
	return nil
}

func (v value) renderShort() string { return shortened(v.render(), 80) }

func (s *schema) fitsArray(v value, proto int) error {
	if len(v.items) < s.MinItems || s.MaxItems != nil && len(v.items) > *s.MaxItems {
		return fmt.Errorf("%d elements", len(v.items))
	}
	if s.UniqueItems {
		seen := map[string]bool{}
		for _, item := range v.items {
			if seen[item.render()] {
				return fmt.Errorf("%s stands twice", item.renderShort())
			}
			seen[item.render()] = true
		}
	}
	var each []json.RawMessage
	if json.Unmarshal(s.Items, &each) != nil {
		each = nil
	}
	for i, item := range v.items {
		rule := s.Items
		if each != nil {
			if rule = s.AdditionalItems; i < len(each) {
				rule = each[i]
			}
		}
		if len(rule) == 0 || rule[0] != '{' {
			continue
		}
		if err := fits(rule, item, proto); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func (s *schema) fitsObject(v value, proto int) error {
	if v.kind != '%' && (proto == 3 || v.kind != '*') || v.null {
		return fmt.Errorf("%s where a map is due", v.renderShort())
	}
	items := v.items
	if v.kind == '*' && len(items) > 0 && len(items[0].items) == 2 { // an array of pairs
		items = nil
		for _, pair := range v.items {
			items = append(items, pair.items...)
		}
	}
	if len(items)%2 != 0 {
		return fmt.Errorf("%s where pairs are due", v.renderShort())
	}
	for i := 0; i < len(items); i += 2 {
		rule, known := s.property(items[i].text)
		if !known {
			return fmt.Errorf("there is no property %q", items[i].text)
		}
		if len(rule) == 0 || rule[0] != '{' {
			continue
		}
		if err := fits(rule, items[i+1], proto); err != nil {
			return fmt.Errorf("%s: %w", items[i].text, err)
		}
	}
	return nil
}

func (s *schema) property(name string) (rule json.RawMessage, known bool) {
	if rule, ok := s.Properties[name]; ok {
		if strings.Contains(string(rule), `"$ref"`) {
			return nil, true
		}
		return rule, true
	}
	for pattern, rule := range s.PatternProperties {
		if regexp.MustCompile(pattern).MatchString(name) {
			return rule, true
		}
	}
	return s.AdditionalProperties, string(s.AdditionalProperties) != "false"
}
