import { useState } from 'react';

import Button from '../components/Button';
import Card from '../components/Card';
import Field from '../components/Field';
import Screen from '../components/Screen';
import Scroll from '../components/Scroll';
import Text from '../components/Text';
import { chatName } from '../names';
import { useSettings } from '../state/settings';

/** Nobody chats without a name. */
export default function NameScreen() {
  const { save } = useSettings();
  const [text, setText] = useState('');
  const [error, setError] = useState(undefined);
  const submit = () => {
    const wrong = chatName(text.trim());
    setError(wrong);
    if (!wrong) void save({ user: text.trim() });
  };
  return (
    <Screen title="Chat">
      <Scroll column={480} contentStyle={{ justifyContent: 'center' }}>
        <Card title="What shall others call you?">
          <Text tone="muted">This name stands beside what you say. You can change it in Settings.</Text>
          <Field label="Your name" placeholder="ada" value={text} onChangeText={setText} error={error} autoCapitalize="none" autoCorrect={false} autoFocus onSubmitEditing={submit} />
          <Button title="Start chatting" kind="primary" onPress={submit} />
        </Card>
      </Scroll>
    </Screen>
  );
}
