package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	system          = "exposedapp-system"
	operatorUser    = "system:serviceaccount:" + system + ":" + v1alpha1.OperatorName
	serviceAccounts = "system:serviceaccounts"
	authenticated   = "system:authenticated"
)

// auditPolicy has every request logged once, when it is done, but for watches,
// which never are.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [watch]
- level: None
  users: ["system:apiserver"]
- level: Metadata
`

// cluster is a kube-apiserver with etcd and what config/ has in it, without
// nodes and without the controllers of Kubernetes.
type cluster struct {
	environment *envtest.Environment
	// config and admin may do everything.
	config *rest.Config
	admin  client.WithWatch
	// audit is the path of the audit log.
	audit string
}

// clusterOptions tell how a cluster differs from the defaults.
type clusterOptions struct {
	// nodePorts is the range, empty for the default one.
	nodePorts string
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// startCluster starts a cluster for the time of the benchmark.
func startCluster(ctx context.Context, b *bench, options clusterOptions) (*cluster, error) {
	c := &cluster{environment: &envtest.Environment{}, audit: filepath.Join(b.dir, "audit.log")}
	policy := filepath.Join(b.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.96.0.0/14").
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.audit).
		// By default it begins a new file after 100 MB.
		Set("audit-log-maxsize", "100000").
		// As kubeadm has it.
		Append("enable-admission-plugins", "NodeRestriction")
	if options.nodePorts != "" {
		c.environment.ControlPlane.GetAPIServer().Configure().Set("service-node-port-range", options.nodePorts)
	}
	// etcd writes to memory, so that no disk is measured.
	etcd := filepath.Join(b.dir, "etcd")
	if err := os.Mkdir(etcd, 0o700); err != nil {
		return nil, err
	}
	c.environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: etcd}
	b.logf("starting kube-apiserver and etcd")
	var err error
	if c.config, err = c.environment.Start(); err != nil {
		return nil, err
	}
	b.cleanup(func() { _ = c.environment.Stop() })
	c.config.QPS = -1
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	if c.admin, err = client.NewWithWatch(c.config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	return c, c.install(ctx)
}

// install applies what `make deploy` applies.
func (c *cluster) install(context.Context) error {
	user, err := c.environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	kubectl, err := user.Kubectl()
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	for _, arguments := range [][]string{
		{"apply", "--kustomize", filepath.Join(root, "config", "default")},
		{"wait", "--for=condition=Established", "--filename", filepath.Join(root, "config", "crd", "bases")},
	} {
		if _, stderr, err := kubectl.Run(arguments...); err != nil {
			return fmt.Errorf("kubectl %v: %w: %v", arguments, err, stderr)
		}
	}
	return nil
}

// moduleRoot is the directory of go.mod, at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod at or above the working directory")
		}
	}
}

// user returns the configuration of a user with the name and groups given, and
// the path of a kubeconfig with it.
func (c *cluster) user(b *bench, name string, groups ...string) (config *rest.Config, kubeconfig string, err error) {
	user, err := c.environment.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, "", err
	}
	text, err := user.KubeConfig()
	if err != nil {
		return nil, "", err
	}
	file, err := os.CreateTemp(b.dir, "kubeconfig-")
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = file.Close() }()
	_, err = file.Write(text)
	return user.Config(), file.Name(), err
}

// startOperator starts the operator with the rights that config/ gives it, and with
// more arguments.
func (c *cluster) startOperator(ctx context.Context, b *bench, arguments ...string) (*process, error) {
	program, err := b.build(ctx, "./cmd/operator")
	if err != nil {
		return nil, err
	}
	_, kubeconfig, err := c.user(b, operatorUser, serviceAccounts, authenticated)
	if err != nil {
		return nil, err
	}
	variables, err := environment("operator", "deployment.yaml")
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, b, "operator", append(variables, "KUBECONFIG="+kubeconfig),
		append([]string{program, "--metrics-bind-address=0", "--health-probe-bind-address=0"}, arguments...)...)
}
