package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// complete asks a shell for what it would complete siemd WORDS to, with the
// script that siemd prints for it. This test is the siemd that the script calls.
func complete(t *testing.T, shell, script string) []string {
	t.Helper()
	path := tool(t, shell)
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "siemd")); err != nil {
		t.Fatal(err)
	}
	r := siemd(t, "completion", shell)
	if r.code != 0 || r.out == "" {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	write(t, filepath.Join(dir, "script"), r.out)
	cmd := exec.Command(path, "-c", script)
	cmd.Env = append(os.Environ(), beSiemd+"=1", "GOCOVERDIR="+os.TempDir(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "SCRIPT="+filepath.Join(dir, "script"))
	got := finish(t, cmd)
	if got.code != 0 || got.err != "" {
		t.Errorf("%s: exit code %d\n%s", shell, got.code, got.err)
	}
	return strings.Fields(got.out)
}

// Each shell takes its script, and offers commands by their beginnings.
func TestCompletions(t *testing.T) {
	t.Parallel()
	for shell, script := range map[string]string{
		// What bash-completion brings, as far as the script calls it; then what readline would do.
		"bash": `set -u; _get_comp_words_by_ref() { :; }; _init_completion() { cur=re; words=(siemd re); cword=1; }; __ltrim_colon_completions() { :; }; compopt() { :; }
			. "$SCRIPT"; COMP_WORDS=(siemd re); COMP_CWORD=1; COMP_LINE="siemd re"; COMP_POINT=8; COMP_TYPE=9; COMP_KEY=9
			words=(siemd re); cword=1; cur=re; prev=siemd; complete -p siemd >/dev/null && __start_siemd; printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh":  `autoload -U compinit && compinit -u -d "$HOME/dump"; . "$SCRIPT" && [[ ${_comps[siemd]} == _siemd ]] && siemd __complete re 2>/dev/null | grep -o '^reload'`,
		"fish": `source $SCRIPT; complete --do-complete "siemd re"`,
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			got := complete(t, shell, script)
			if len(got) == 0 || got[0] != "reload" {
				t.Errorf("siemd re is completed to %v", got)
			}
		})
	}
}
