package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/test/gen"
)

// firstNodePort is the least of the default range.
const firstNodePort = 30000

// agentNode is the node on which the agent runs.
const agentNode = "node-1"

// site is all that one agent needs: a cluster with apps, and nodes on which
// their node ports answer.
type site struct {
	*cluster
	nodes  *siteNodes
	last   uint16
	period time.Duration

	// kubeconfig has the agent's own token, and environment is what the DaemonSet
	// sets.
	kubeconfig  string
	environment []string
}

// siteSize is how much there is to dial: every app on every node, each once per
// period as long as no budget stretches that.
type siteSize struct {
	nodes, apps int
	period      time.Duration
}

// newSite makes a site for the time of the benchmark.
func newSite(ctx context.Context, b *bench, size siteSize) (*site, error) {
	s := &site{last: uint16(firstNodePort + size.apps - 1), period: size.period}
	var err error
	if s.nodes, err = startSiteNodes(ctx, b, size.nodes, firstNodePort, s.last); err != nil {
		return nil, err
	}
	if s.cluster, err = startCluster(ctx, b, clusterOptions{}); err != nil {
		return nil, err
	}
	if err := s.addNodes(ctx); err != nil {
		return nil, err
	}
	b.logf("exposing %d apps", size.apps)
	if err := s.expose(ctx); err != nil {
		return nil, err
	}
	if s.environment, err = environment("agent", "daemonset.yaml"); err != nil {
		return nil, err
	}
	s.kubeconfig, err = s.enrol(ctx, b)
	return s, err
}

// addNodes creates the Nodes, and the NodeReachability of the agent's as the
// operator would.
func (s *site) addNodes(ctx context.Context) error {
	var created []corev1.Node
	for i, address := range s.nodes.addresses {
		node := gen.Node(fmt.Sprintf("node-%d", i+1), address.String())
		if err := s.admin.Create(ctx, node.DeepCopy()); err != nil {
			return err
		}
		created = append(created, *node)
	}
	return s.admin.Create(ctx, &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: agentNode},
		Spec:       nodereachability.Specs(created, 0)[agentNode],
	})
}

// expose creates the Services as the operator does, and their EndpointSlices as
// Kubernetes does.
func (s *site) expose(ctx context.Context) error {
	annotation, err := json.Marshal(v1alpha1.ProbeSpec{
		Path: "/", PeriodSeconds: int32(s.period.Seconds()), TimeoutSeconds: min(2, int32(s.period.Seconds())), FailureThreshold: 2,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	pod := netip.MustParsePrefix(benchRange).Addr()
	pod = netip.AddrFrom4([4]byte{pod.As4()[0], pod.As4()[1], 128})
	for port := int32(firstNodePort); port <= int32(s.last); port++ {
		name := fmt.Sprintf("app-%d", port)
		var pods []netip.Addr
		for range 3 {
			pod = pod.Next()
			pods = append(pods, pod)
		}
		group.Go(func() error {
			service := siteService(name, port, string(annotation))
			if err := s.admin.Create(ctx, service, client.FieldOwner(v1alpha1.OperatorName)); err != nil {
				return err
			}
			return s.admin.Create(ctx, siteSlice(service, pods))
		})
	}
	return group.Wait()
}

func siteService(app string, nodePort int32, annotation string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   metav1.NamespaceDefault,
			Name:        app,
			Labels:      map[string]string{v1alpha1.AppLabel: app, v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			Annotations: map[string]string{v1alpha1.ProbeAnnotation: annotation},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp",
				Name: app, UID: types.UID(app), Controller: new(true),
			}},
		},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeNodePort,
			Selector: map[string]string{v1alpha1.NameLabel: app},
			Ports: []corev1.ServicePort{{
				Name: "http", Protocol: corev1.ProtocolTCP,
				Port: 80, TargetPort: intstr.FromInt32(9898), NodePort: nodePort,
			}},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
			IPFamilyPolicy:        new(corev1.IPFamilyPolicySingleStack),
		},
	}
}

func siteSlice(service *corev1.Service, pods []netip.Addr) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace,
			Name:      service.Name + "-x2x7k",
			Labels: map[string]string{
				v1alpha1.AppLabel:            service.Name,
				v1alpha1.ManagedByLabel:      v1alpha1.ManagedByValue,
				discoveryv1.LabelServiceName: service.Name,
				discoveryv1.LabelManagedBy:   "endpointslice-controller.k8s.io",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID,
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(9898))}},
	}
	for i, pod := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{pod.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			NodeName:   new(agentNode),
			TargetRef: &corev1.ObjectReference{
				Kind: "Pod", Namespace: service.Namespace, Name: fmt.Sprintf("%s-6d5d5b8f9c-%d", service.Name, i),
			},
		})
	}
	return slice
}

// enrol makes a pod of the agent on its node, and returns the path of a
// kubeconfig with the token that the kubelet would give it.
func (s *site) enrol(ctx context.Context, b *bench) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: v1alpha1.AgentName}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: v1alpha1.AgentName},
		Spec: corev1.PodSpec{
			ServiceAccountName: account.Name,
			NodeName:           agentNode,
			Containers:         []corev1.Container{{Name: "agent", Image: "agent"}},
		},
	}
	if err := s.admin.Create(ctx, pod); err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
		},
	}}
	if err := s.admin.SubResource("token").Create(ctx, account, request); err != nil {
		return "", err
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["bench"] = &clientcmdapi.Cluster{
		Server: s.config.Host, CertificateAuthorityData: s.config.CAData,
	}
	kubeconfig.AuthInfos["agent"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	kubeconfig.Contexts["agent"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "agent"}
	kubeconfig.CurrentContext = "agent"
	path := filepath.Join(b.dir, "agent.kubeconfig")
	return path, clientcmd.WriteToFile(*kubeconfig, path)
}

// agentVariables are the environment of the agent.
func (s *site) agentVariables() []string {
	return append([]string{"KUBECONFIG=" + s.kubeconfig, "NODE_NAME=" + agentNode}, s.environment...)
}

// startAgent starts the agent as its DaemonSet would, and waits for a report that
// calls all that there is reached.
func (s *site) startAgent(ctx context.Context, b *bench) (*process, error) {
	program, err := b.build(ctx, "./cmd/agent")
	if err != nil {
		return nil, err
	}
	started := time.Now()
	p, err := startProcess(ctx, b, "agent", s.agentVariables(), program)
	if err != nil {
		return nil, err
	}
	return p, s.awaitAgent(ctx, p, started)
}

// awaitAgent waits for a report of p, written after a time, that calls all that
// there is reached.
func (s *site) awaitAgent(ctx context.Context, p *process, after time.Time) error {
	ports := fmt.Sprintf("%d-%d", firstNodePort, s.last)
	return await(ctx, "a report that everything is reached", 2*time.Minute, func() (bool, error) {
		if err := p.alive(); err != nil {
			return false, err
		}
		report, err := s.report(ctx)
		return err == nil && report.RenewTime != nil && report.RenewTime.After(after) &&
			report.NodePorts == ports && len(report.Addresses) == len(s.nodes.addresses) &&
			len(report.Pending) == 0 && len(report.Failures) == 0, err
	})
}

// report returns what the agent wrote last.
func (s *site) report(ctx context.Context) (v1alpha1.NodeReachabilityStatus, error) {
	var reachability v1alpha1.NodeReachability
	err := s.admin.Get(ctx, client.ObjectKey{Name: agentNode}, &reachability)
	return reachability.Status, err
}

// failing returns the number of targets that the agent's report calls failing.
func (s *site) failing(ctx context.Context) (int, error) {
	report, err := s.report(ctx)
	if err != nil {
		return 0, err
	}
	targets := 0
	for _, failure := range report.Failures {
		ports, err := nodeport.Parse(failure.NodePorts)
		if err != nil {
			return 0, err
		}
		targets += ports.Len() * len(failure.Addresses)
	}
	return targets, nil
}
