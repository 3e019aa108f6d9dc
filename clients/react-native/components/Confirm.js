import { Modal, Platform, Pressable, View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Button from './Button';
import Text from './Text';

/** On the web the modal is a dialog itself, and would be one around another. */
const dialog = (title) => (Platform.OS === 'web' ? {} : { role: 'dialog', 'aria-modal': true, 'aria-label': title });

/** Asks before something that cannot be undone. */
export default function Confirm({ visible, title, children, action, busy, onConfirm, onCancel }) {
  const styles = useStyles();
  return (
    <Modal aria-label={title} visible={visible} transparent animationType="fade" onRequestClose={onCancel}>
      <View style={styles.shade}>
        <Pressable aria-hidden style={styles.outside} onPress={onCancel} />
        <View {...dialog(title)} style={styles.dialog}>
          <Text kind="heading">{title}</Text>
          <Text tone="muted">{children}</Text>
          <View style={styles.buttons}>
            <Button title="Cancel" onPress={onCancel} />
            <Button title={action} kind="danger" busy={busy} onPress={onConfirm} />
          </View>
        </View>
      </View>
    </Modal>
  );
}

const useStyles = styled((colors) => ({
  shade: { flex: 1, alignItems: 'center', justifyContent: 'center', padding: space.xl, backgroundColor: colors.shade },
  outside: { position: 'absolute', top: 0, right: 0, bottom: 0, left: 0 },
  dialog: { width: '100%', maxWidth: 400, padding: space.xl, gap: space.m, borderRadius: radius.l, backgroundColor: colors.surface },
  buttons: { flexDirection: 'row', justifyContent: 'flex-end', gap: space.s, marginTop: space.s },
}));
