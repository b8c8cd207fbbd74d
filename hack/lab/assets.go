package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/exposedapp/exposedapp/hack/lab/binaries"
	"github.com/exposedapp/exposedapp/hack/lab/packages"
)

// assetsName is the artifact with the programs that run on this machine.
const assetsName = "assets"

// assets prints the folder that envtest takes as KUBEBUILDER_ASSETS.
func (l *lab) assets(ctx context.Context) error {
	if err := l.ensureCompiler(ctx); err != nil {
		return err
	}
	dir, err := l.assetsDir(ctx)
	if err != nil {
		return err
	}
	fmt.Println(dir)
	return nil
}

func (l *lab) assetsDir(ctx context.Context) (string, error) {
	return l.builder.Folder(ctx, assetsName, l.assetPrograms()...)
}

// assetsPath is where assetsDir puts them, be they built or not.
func (l *lab) assetsPath() string {
	return l.builder.FolderPath(assetsName, l.assetPrograms()...)
}

func (l *lab) assetPrograms() []binaries.Program {
	return []binaries.Program{l.programs["kube-apiserver"], l.programs["etcd"], l.programs["kubectl"]}
}

// ensureCompiler makes sure of a C compiler, which `go test -race` needs.
// Without one the rest still works, so its lack is not an error.
func (l *lab) ensureCompiler(ctx context.Context) error {
	if _, err := exec.LookPath("gcc"); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		l.log.Printf("no gcc here: install gcc and libc6-dev, or go test -race will not work")
		return nil
	}
	return packages.Install(ctx, l.log, "gcc", "libc6-dev")
}
