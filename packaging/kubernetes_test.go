package packaging_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A manifest is the part of a Kubernetes object that is looked at.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		UpdateStrategy struct {
			RollingUpdate struct {
				MaxSurge int `yaml:"maxSurge"`
			} `yaml:"rollingUpdate"`
		} `yaml:"updateStrategy"`
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
	}
}

type podSpec struct {
	ServiceAccountName string `yaml:"serviceAccountName"`
	Automount          *bool  `yaml:"automountServiceAccountToken"`
	Grace              int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext    struct {
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []struct {
		Image           string
		Args            []string
		SecurityContext struct {
			RunAsUser    int   `yaml:"runAsUser"`
			RunAsNonRoot bool  `yaml:"runAsNonRoot"`
			ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
			Escalation   *bool `yaml:"allowPrivilegeEscalation"`
			Capabilities struct{ Add, Drop []string }
			Privileged   bool
		} `yaml:"securityContext"`
		StartupProbe  probe `yaml:"startupProbe"`
		LivenessProbe probe `yaml:"livenessProbe"`
		VolumeMounts  []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	Volumes []volume
}

type probe struct{ Exec struct{ Command []string } }

type volume struct {
	Name string
}

// manifests reads what the kustomization lists, by kind.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	var k struct {
		APIVersion         string `yaml:"apiVersion"`
		Kind, Namespace    string
		Resources          []string
		ConfigMapGenerator []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
		Images []struct {
			Name    string
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(read(t, "packaging/kubernetes/kustomization.yaml")))
	dec.KnownFields(true)
	if err := dec.Decode(&k); err != nil {
		t.Fatal(err)
	}
	if k.Kind != "Kustomization" || len(k.ConfigMapGenerator) != 1 {
		t.Fatalf("kustomization: %+v", k)
	}
	listed := slices.Concat(k.Resources, k.ConfigMapGenerator[0].Files, []string{"kustomization.yaml"})
	files, err := filepath.Glob("kubernetes/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(listed, filepath.Base(f)) {
			t.Errorf("%s is not in the kustomization", f)
		}
	}
	all := map[string]manifest{}
	for _, name := range k.Resources {
		dec := yaml.NewDecoder(bytes.NewReader(must(os.ReadFile(filepath.Join("kubernetes", name)))))
		for {
			var m manifest
			err := dec.Decode(&m)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if m.APIVersion == "" || m.Kind == "" || m.Metadata.Name == "" || m.Kind != "Namespace" && m.Metadata.Namespace != k.Namespace {
				t.Errorf("%s: %s %s %s in %q", name, m.APIVersion, m.Kind, m.Metadata.Name, m.Metadata.Namespace)
			}
			all[m.Kind] = m
		}
	}
	return all
}

// The pods have no rights that they do not need, and what they mount and call is there.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	all := manifests(t)
	for _, kind := range []string{"Namespace", "ServiceAccount", "Secret", "DaemonSet", "NetworkPolicy"} {
		if _, ok := all[kind]; !ok {
			t.Errorf("there is no %s", kind)
		}
	}
	set := all["DaemonSet"]
	pod := set.Spec.Template.Spec
	for key, value := range set.Spec.Selector.MatchLabels {
		if set.Spec.Template.Metadata.Labels[key] != value {
			t.Errorf("the selector's label %s is not the pod's", key)
		}
	}
	if len(set.Spec.Selector.MatchLabels) == 0 || set.Spec.UpdateStrategy.RollingUpdate.MaxSurge != 0 || pod.Grace <= 20 ||
		pod.ServiceAccountName != all["ServiceAccount"].Metadata.Name || pod.Automount == nil || *pod.Automount ||
		pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || len(pod.Containers) != 1 {
		t.Fatalf("the pod: %+v", set)
	}
	c := pod.Containers[0]
	s := c.SecurityContext
	if !s.RunAsNonRoot || s.RunAsUser != 65532 || !s.ReadOnly || s.Escalation == nil || *s.Escalation || s.Privileged ||
		!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("the container may too much: %+v", s)
	}
	help := helpTexts{t: t}
	for _, words := range [][]string{append([]string{"siemd"}, c.Args...), c.StartupProbe.Exec.Command, c.LivenessProbe.Exec.Command} {
		if len(words) < 2 {
			t.Errorf("a command is missing: %v", words)
		} else if why := help.wrong(words); why != "" {
			t.Errorf("%v: %s", words, why)
		}
	}
	mounted := map[string]string{}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v volume) bool { return v.Name == m.Name }) {
			t.Errorf("there is no volume %s", m.Name)
		}
		if m.ReadOnly == (m.MountPath == "/var/lib/siemd") {
			t.Errorf("%s: read-only is %v", m.MountPath, m.ReadOnly)
		}
		mounted[m.MountPath] = m.Name
	}

	// Its config passes, and names only what is mounted, and the secret's own key.
	if r := siemd(t, "check", "--no-secrets", "-c", "kubernetes/siemd.yaml"); r.code != 0 {
		t.Errorf("siemd check: exit code %d\n%s", r.code, r.err)
	}
	config := read(t, "packaging/kubernetes/siemd.yaml")
	for _, m := range regexp.MustCompile(`(/(?:var|run)/[\w/.-]+)`).FindAllString(config, -1) {
		dir, key := filepath.Split(strings.TrimSuffix(m, "/"))
		_, direct := mounted[strings.TrimSuffix(m, "/")]
		if _, below := mounted[strings.TrimSuffix(dir, "/")]; !direct && !below {
			t.Errorf("the config names %s, which is not mounted", m)
		}
		if _, ok := all["Secret"].StringData[key]; strings.HasPrefix(m, "/run/secrets") && !ok {
			t.Errorf("the secret has no %s", key)
		}
	}
}

// The image is one static binary, run by a user without rights, and it names what is there.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	file := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", " ")
	last := map[string]string{}
	stages := 0
	for line := range strings.Lines(file) {
		word, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(word, "#") {
			continue
		}
		if word == "FROM" {
			stages++
			clear(last)
		}
		last[word] = rest
	}
	if stages != 2 || last["FROM"] != "scratch" || last["USER"] != "65532:65532" || last["VOLUME"] != "/var/lib/siemd" {
		t.Errorf("the last stage: %v", last)
	}
	if !strings.Contains(file, "CGO_ENABLED=0") || strings.Contains(file, "buildmode=pie") {
		t.Error("the binary is not static")
	}
	if want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod")); !strings.Contains(file, "golang:"+want[1]+"-") {
		t.Errorf("the image does not build with go %s", want[1])
	}
	help := helpTexts{t: t}
	quoted := regexp.MustCompile(`"([^"]+)"`)
	for _, key := range []string{"CMD", "HEALTHCHECK"} {
		words := []string{"siemd"}
		for _, m := range quoted.FindAllStringSubmatch(last[key], -1) {
			if m[1] != "/usr/bin/siemd" {
				words = append(words, m[1])
			}
		}
		if len(words) < 2 {
			t.Errorf("%s: %s", key, last[key])
		} else if why := help.wrong(words); why != "" {
			t.Errorf("%s %v: %s", key, words, why)
		}
	}
	for _, m := range regexp.MustCompile(`(?:packaging|configs)/[\w./-]+`).FindAllString(file, -1) {
		read(t, m)
	}
}

// Workflows only call the Makefile and scripts of the repository, with no rights but to read it.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	allowed := regexp.MustCompile(`^(make \w+|\./packaging/\w+|sudo env "PATH=\$PATH" \./\.ci/run)$`)
	target := regexp.MustCompile(`make (\w+)$`)
	makefile := read(t, "Makefile")
	for _, file := range files {
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Permissions map[string]string
				Steps       []struct{ Run, Uses string }
			}
		}
		if err := yaml.Unmarshal(must(os.ReadFile(file)), &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" || len(w.Jobs) == 0 {
			t.Errorf("%s: permissions %v, %d jobs", file, w.Permissions, len(w.Jobs))
		}
		for name, job := range w.Jobs {
			if len(job.Permissions) > 0 {
				t.Errorf("%s: job %s has permissions of its own", file, name)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && step.Run == "" {
					continue
				}
				for _, command := range strings.Split(step.Run, " && ") {
					if command = strings.TrimSpace(command); !allowed.MatchString(command) {
						t.Errorf("%s: %q belongs into the Makefile", file, command)
					}
					if m := target.FindStringSubmatch(command); m != nil && !strings.Contains(makefile, "\n"+m[1]+":") {
						t.Errorf("%s: make has no %s", file, m[1])
					}
				}
			}
		}
	}
	for _, form := range []string{"ISSUE_TEMPLATE/bug.yaml", "ISSUE_TEMPLATE/idea.yaml", "ISSUE_TEMPLATE/config.yml", "dependabot.yml"} {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(read(t, ".github/"+form)), &any); err != nil || len(any) == 0 {
			t.Errorf("%s: %v", form, err)
		}
	}
}
