// The page as a whole: who is signed in decides between the sign-in page and the frame.
import { useLayoutEffect } from 'preact/hooks';
import { Frame } from './components/frame';
import { DevicesPage } from './pages/devices';
import { JobPage } from './pages/job';
import { JobsPage } from './pages/jobs';
import { KeysPage } from './pages/keys';
import { ModelsPage } from './pages/models';
import { SignInPage } from './pages/sign_in';
import { UnknownPage } from './pages/unknown';
import type { Route } from './router';
import { MeProvider, ServicesProvider, type Services } from './state/context';
import { followFleet } from './state/follow_fleet';
import { useStore } from './state/store';

export function App({ services }: { services: Services }) {
  return (
    <ServicesProvider value={services}>
      <Gate services={services} />
    </ServicesProvider>
  );
}

function Gate({ services }: { services: Services }) {
  const state = useStore(services.session.state);
  const route = useStore(services.router.route);
  const me = state.kind === 'signed_in' ? state.me : null;

  // Anew for everybody who signs in, before it is painted: what is another's is not theirs to see.
  useLayoutEffect(() => {
    if (me === null) return;
    return followFleet(services.fleet, () => services.session.end());
  }, [me, services]);

  if (state.kind === 'starting') return <p class="starting">Connecting…</p>;
  if (state.kind === 'signed_out') return <SignInPage notice={state.notice} />;
  return (
    <MeProvider value={state.me}>
      <Frame key={state.me.key_id} route={route}>
        <CurrentPage route={route} />
      </Frame>
    </MeProvider>
  );
}

function CurrentPage({ route }: { route: Route }) {
  switch (route.page) {
    case 'jobs':
      return <JobsPage />;
    case 'job':
      return <JobPage key={route.id} id={route.id} />;
    case 'devices':
      return <DevicesPage />;
    case 'models':
      return <ModelsPage />;
    case 'keys':
      return <KeysPage />;
    case 'unknown':
      return <UnknownPage path={route.path} />;
  }
}
