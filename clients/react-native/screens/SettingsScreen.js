import { useState } from 'react';
import { View } from 'react-native';
import { createClient } from 'superapp-api';

import Button from '../components/Button';
import Card from '../components/Card';
import Field from '../components/Field';
import Notice from '../components/Notice';
import Screen from '../components/Screen';
import Scroll from '../components/Scroll';
import { chatName } from '../names';
import { defaultServer } from '../state/defaultServer';
import { useSettings } from '../state/settings';
import { space } from '../theme/tokens';
import { explain, plural } from '../words';

/** How wide a form is. */
const WIDTH = 560;

export default function SettingsScreen() {
  return (
    <Screen title="Settings" column={WIDTH}>
      <Scroll column={WIDTH}>
        <Server />
        <Me />
      </Scroll>
    </Screen>
  );
}

const HEALTH = { pass: 'Everything there is healthy.', warn: 'It serves, with less than it should have.', fail: 'It answers, but something there is down.' };

/** Here one need not be sent to the settings. */
const WRONG = {
  network: 'Nothing answers at this address. Is it right, and is the server running?',
  not_superapp: 'The address belongs to another kind of server.',
};

/** Asks a server how it is; what is found out is a notice. */
async function look(url) {
  const started = Date.now();
  try {
    const { status, version, services } = await createClient({ url, timeoutMs: 5_000 }).health();
    const replicas = Object.values(services).reduce((sum, service) => sum + service.replicas.length, 0);
    return {
      tone: status,
      title: 'Connected',
      detail: `${HEALTH[status]} Version ${version}, ${plural(replicas, 'replica')}, answered within ${Date.now() - started} ms.`,
    };
  } catch (error) {
    const { title, detail } = explain(error);
    return { tone: 'fail', error, title, detail: WRONG[error.code] ?? detail };
  }
}

function Server() {
  const { server, save } = useSettings();
  const [text, setText] = useState(server);
  const [found, setFound] = useState(undefined);
  const [isBusy, setBusy] = useState(false);
  const url = text.trim().replace(/\/+$/, '');

  const test = async () => {
    setBusy(true);
    setFound(undefined);
    const result = await look(url);
    setFound(result);
    setBusy(false);
    return result;
  };
  const submit = async () => {
    // A server that is away may come back; what is no address never will.
    const { error } = await test();
    if (error?.code !== 'invalid_argument') await save({ server: url });
  };
  const reset = () => {
    setText(defaultServer());
    setFound(undefined);
  };
  return (
    <Card title="Server">
      <Field
        label="Address"
        placeholder="http://localhost:8080"
        hint="Where the gateway of SuperApp is. On a phone, the address of your computer in the network."
        value={text}
        onChangeText={setText}
        inputMode="url"
        autoCapitalize="none"
        autoCorrect={false}
        onSubmitEditing={submit}
      />
      {found && (
        <Notice tone={found.tone} title={found.title}>
          {found.detail}
        </Notice>
      )}
      <View style={{ flexDirection: 'row', flexWrap: 'wrap', gap: space.s }}>
        <Button title="Save" kind="primary" disabled={url === '' || url === server} onPress={submit} />
        <Button title="Test connection" busy={isBusy} onPress={test} />
        {url !== defaultServer() && <Button title="Use the default" kind="quiet" onPress={reset} />}
      </View>
    </Card>
  );
}

function Me() {
  const { user, save } = useSettings();
  const [text, setText] = useState(user);
  const [error, setError] = useState(undefined);
  const name = text.trim();
  const submit = () => {
    const wrong = chatName(name);
    setError(wrong);
    if (!wrong) void save({ user: name });
  };
  return (
    <Card title="You">
      <Field
        label="Your name in chat"
        placeholder="ada"
        hint="Others see it beside what you say."
        value={text}
        onChangeText={setText}
        error={error}
        autoCapitalize="none"
        autoCorrect={false}
        onSubmitEditing={submit}
      />
      <View style={{ flexDirection: 'row' }}>
        <Button title="Save name" kind="primary" disabled={name === user} onPress={submit} />
      </View>
    </Card>
  );
}
