package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A browser is a headless Chromium with one page, driven over a pipe: messages
// of the DevTools protocol with a NUL behind each.
type browser struct {
	t       testing.TB
	cmd     *exec.Cmd
	in, out *os.File
	session string

	mu      sync.Mutex // guards the rest
	next    int
	waiting map[int]chan cdpMessage
	bad     []string // whatever a page should not do: dialogs, errors, breaches of its policy
	ended   error
}

type cdpMessage struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// startBrowser skips the test, loudly, where there is no Chromium; with CI set it must be there.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no Chromium (apt-get install chromium)")
		}
		t.Skip("*** SKIPPED: the status page is not tried in a browser: there is no Chromium (apt-get install chromium) ***")
	}
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, in: in, out: out, waiting: map[int]chan cdpMessage{}}
	b.cmd = exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir="+home,
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
		"--disable-dev-shm-usage", "--disable-sync", "--mute-audio", "--hide-scrollbars", "--no-proxy-server", "about:blank")
	b.cmd.Env = append(os.Environ(), "HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	b.cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read()
	}()
	t.Cleanup(func() {
		b.in.Close()             // with its pipe the browser ends
		_ = b.cmd.Process.Kill() // if it does not
		_ = b.cmd.Wait()         // killed or not
		b.out.Close()
		<-read
		for range 50 { // its children may still write there for a moment
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	var target struct {
		ID string `json:"targetId"`
	}
	b.must("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.must("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b.session = attached.Session
	for _, domain := range []string{"Runtime", "Log", "Page", "Audits"} {
		b.must(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) read() {
	r := bufio.NewReaderSize(b.out, 1<<20)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = err
			for id, ch := range b.waiting {
				close(ch)
				delete(b.waiting, id)
			}
			b.mu.Unlock()
			return
		}
		var m cdpMessage
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if ch := b.waiting[m.ID]; m.ID != 0 && ch != nil {
			delete(b.waiting, m.ID)
			ch <- m
		}
		b.mu.Unlock()
		if m.Method != "" {
			b.event(m)
		}
	}
}

// event notes what a good page never does.
func (b *browser) event(m cdpMessage) {
	var p struct {
		Type  string `json:"type"`
		Entry struct {
			Level, Text, URL, Source string
		} `json:"entry"`
		Issue struct {
			Code string `json:"code"`
		} `json:"issue"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(m.Params, &p) // a field of another type stays empty
	note := ""
	switch m.Method {
	case "Page.javascriptDialogOpening":
		note = "a dialog: " + p.Message
		go func() { _ = b.call("Page.handleJavaScriptDialog", map[string]any{"accept": false}, nil) }()
	case "Runtime.exceptionThrown":
		note = "an exception: " + string(m.Params)
	case "Runtime.consoleAPICalled":
		if p.Type == "error" || p.Type == "warning" || p.Type == "assert" {
			note = "on the console: " + string(m.Params)
		}
	case "Log.entryAdded":
		if p.Entry.Level == "error" || p.Entry.Level == "warning" {
			note = fmt.Sprintf("in the log: %s %s %s", p.Entry.Source, p.Entry.Text, p.Entry.URL)
		}
	case "Audits.issueAdded":
		if strings.Contains(p.Issue.Code, "ContentSecurityPolicy") || strings.Contains(p.Issue.Code, "MixedContent") {
			note = "an issue: " + string(m.Params)
		}
	}
	if note != "" {
		b.mu.Lock()
		b.bad = append(b.bad, note)
		b.mu.Unlock()
	}
}

// misdeeds are those since the last call.
func (b *browser) misdeeds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	bad := b.bad
	b.bad = nil
	return bad
}

func (b *browser) call(method string, params, result any) error {
	m := cdpMessage{Method: method, Session: b.session}
	if params != nil {
		var err error
		if m.Params, err = json.Marshal(params); err != nil {
			return err
		}
	}
	ch := make(chan cdpMessage, 1)
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return b.ended
	}
	b.next++
	m.ID = b.next
	b.waiting[m.ID] = ch
	data, err := json.Marshal(m)
	if err == nil {
		_, err = b.in.Write(append(data, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case answer, ok := <-ch:
		switch {
		case !ok:
			return errors.New("the browser has ended")
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", method, answer.Error.Message)
		case result != nil:
			return json.Unmarshal(answer.Result, result)
		}
		return nil
	case <-time.After(60 * time.Second):
		return fmt.Errorf("%s: no answer", method)
	}
}

func (b *browser) must(method string, params, result any) {
	b.t.Helper()
	if err := b.call(method, params, result); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a page and waits until it is there.
func (b *browser) open(url string) {
	b.t.Helper()
	b.must("Page.navigate", map[string]any{"url": url}, nil)
	b.await("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// eval is the value of an expression in the page, awaited if it is a promise.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	v, err := b.tryEval(expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *browser) tryEval(expression string) (any, error) {
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &r)
	if err == nil && r.Exception != nil {
		err = fmt.Errorf("%s %s", r.Exception.Text, r.Exception.Exception.Description)
	}
	return r.Result.Value, err
}

// await waits until an expression is true.
func (b *browser) await(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		v, err := b.tryEval(expression)
		if v == true {
			return
		}
		if time.Now().After(deadline) {
			body, _ := b.tryEval("document.body.innerText")
			b.t.Fatalf("never true: %s (%v, %v)\nthe page says: %v\nit did: %v", expression, v, err, body, b.misdeeds())
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// see waits until the page shows text.
func (b *browser) see(text string) {
	b.t.Helper()
	b.await(fmt.Sprintf("document.querySelector('main').innerText.includes(%s)", quoteJS(text)))
}

// press types a key, as a person does.
func (b *browser) press(key string) {
	b.t.Helper()
	code, text := 0, ""
	switch key {
	case "Enter":
		code, text = 13, "\r"
	case "Tab":
		code = 9
	case "ArrowLeft":
		code = 37
	default:
		code, text = int(key[0]), key
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := map[string]any{"type": kind, "key": key, "windowsVirtualKeyCode": code}
		if kind == "keyDown" && text != "" {
			p["text"] = text
		}
		b.must("Input.dispatchKeyEvent", p, nil)
	}
}

// typed writes text where the focus is.
func (b *browser) typed(text string) {
	b.t.Helper()
	b.must("Input.insertText", map[string]any{"text": text}, nil)
}

func (b *browser) screen(width, height int, scheme string) {
	b.t.Helper()
	b.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// picture keeps what is seen as $SIEMD_SCREENSHOTS/name.png, if somebody wants it.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SIEMD_SCREENSHOTS")
	if dir == "" {
		return
	}
	var shot struct {
		Data string `json:"data"`
	}
	b.must("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func quoteJS(text string) string {
	data, _ := json.Marshal(text) // a string always can
	return string(data)
}
