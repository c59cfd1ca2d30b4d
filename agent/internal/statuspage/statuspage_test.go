package statuspage

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// forbidden would make markup or code of text, or bring something in from elsewhere.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|createContextualFragment|DOMParser|setHTML|srcdoc|` +
	`javascript:|localStorage|document\.cookie|setTimeout\(\s*['"` + "`" + `]|importScripts|\son[a-z]+=|https?://|\burl\(|@import|style=|<style`)

// allowed are the namespaces of SVG.
var allowed = strings.NewReplacer("'http://www.w3.org/2000/svg'", "", `xmlns="http://www.w3.org/2000/svg"`, "")

func each(t *testing.T, f func(name, text string)) {
	t.Helper()
	n := 0
	err := fs.WalkDir(files, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		n++
		f(strings.TrimPrefix(path, "static/"), string(data))
		return err
	})
	if err != nil || n < 5 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestNothingIsMarkupAndNothingComesFromElsewhere(t *testing.T) {
	each(t, func(name, text string) {
		for i, line := range strings.Split(text, "\n") {
			if found := forbidden.FindString(allowed.Replace(line)); found != "" {
				t.Errorf("%s:%d: %q", name, i+1, strings.TrimSpace(found))
			}
		}
	})
	for _, bad := range []string{"el.innerHTML = x", "x.outerHTML", "<p onclick=f()>", "fetch('https://cdn.example')", "eval(x)", `setTimeout("f()")`, "a.href = 'javascript:x'"} {
		if !forbidden.MatchString(bad) {
			t.Errorf("%s would pass", bad)
		}
	}
}

// TestElementsAreMadeInOnePlace: only dom.js touches the document's nodes as such.
func TestElementsAreMadeInOnePlace(t *testing.T) {
	each(t, func(name, text string) {
		if name != "dom.js" && strings.Contains(text, "createElement") {
			t.Errorf("%s makes elements by itself", name)
		}
	})
}

var (
	imported = regexp.MustCompile(`(?m)^import .* from '\./([a-z]+\.js)';$`)
	asset    = regexp.MustCompile(`(?:src|href)="/page/([a-z.]+)"`)
)

func TestFilesAreThereAndUsed(t *testing.T) {
	used := map[string]bool{Index: true}
	each(t, func(name, text string) {
		for _, expr := range []*regexp.Regexp{imported, asset} {
			for _, m := range expr.FindAllStringSubmatch(text, -1) {
				if _, _, ok := File(m[1]); !ok {
					t.Errorf("%s wants %s, which is not there", name, m[1])
				}
				used[m[1]] = true
			}
		}
	})
	each(t, func(name, _ string) {
		if !used[name] {
			t.Errorf("nothing uses %s", name)
		}
		if _, kind, ok := File(name); !ok || kind == "" {
			t.Errorf("%s is not served", name)
		}
	})
	for _, name := range []string{"", ".", "..", "../statuspage.go", "static/app.js", "app", "app.js/", `..\statuspage.go`, "statuspage.go", "x.js"} {
		if _, _, ok := File(name); ok {
			t.Errorf("%q is served", name)
		}
	}
}
