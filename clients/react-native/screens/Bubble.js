import { memo } from 'react';
import { View } from 'react-native';

import Avatar from '../components/Avatar';
import Button from '../components/Button';
import Icon from '../components/Icon';
import Text from '../components/Text';
import { space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { clockTime, explain } from '../words';

const MARKS = {
  sent: { icon: 'checkmark', label: 'Sent' },
  waiting: { icon: 'time-outline', label: 'Waiting to be sent' },
  refused: { icon: 'alert-circle', label: 'Not sent' },
};

/** One message: one's own at the right, with a mark that says whether the server has it. */
function Bubble({ id, user, text, at, state, error, isMine, isFirst, isLast, onDismiss }) {
  const styles = useStyles();
  // What the server does not have yet does not look as if it did.
  const tone = isMine && state === 'sent' ? 'onPrimary' : 'text';
  const mark = MARKS[state];
  return (
    <View style={[styles.line, isMine && styles.right, isFirst && styles.first]}>
      {!isMine && <View style={styles.who}>{isLast && <Avatar name={user} size={28} />}</View>}
      <View style={[styles.column, isMine && styles.right]}>
        {isFirst && !isMine && (
          <Text kind="tiny" tone="muted" style={styles.name}>
            {user}
          </Text>
        )}
        <View style={[styles.bubble, isMine ? styles.mine : styles.theirs, isLast && (isMine ? styles.mineLast : styles.theirsLast), styles[state]]}>
          <Text tone={tone} selectable testID="text" style={styles.text}>
            {text}
          </Text>
          <View style={styles.foot}>
            <Text kind="tiny" tone={tone === 'onPrimary' ? tone : 'muted'}>
              {clockTime(at)}
            </Text>
            {isMine && (
              <View role="img" aria-label={mark.label}>
                <Icon name={mark.icon} size={13} tone={state === 'refused' ? 'fail' : tone} />
              </View>
            )}
          </View>
        </View>
        {state === 'refused' && (
          <View role="alert" style={styles.below}>
            <Text kind="small" tone="fail" style={styles.why}>{`Not sent. ${explain(error).detail}`}</Text>
            <Button title="Remove" kind="quiet" onPress={() => onDismiss(id)} />
          </View>
        )}
      </View>
    </View>
  );
}

export default memo(Bubble);

const useStyles = styled((colors) => ({
  line: { flexDirection: 'row', alignItems: 'flex-end', gap: space.s, marginTop: 2 },
  right: { justifyContent: 'flex-end', alignItems: 'flex-end' },
  first: { marginTop: space.m },
  who: { width: 28 },
  column: { flexShrink: 1, maxWidth: '80%', alignItems: 'flex-start' },
  name: { marginLeft: space.m, marginBottom: 3 },
  bubble: { maxWidth: 560, paddingHorizontal: space.m, paddingVertical: space.s, borderRadius: 18 },
  mine: { backgroundColor: colors.primary },
  theirs: { backgroundColor: colors.surface, borderWidth: 1, borderColor: colors.border },
  mineLast: { borderBottomRightRadius: 6 },
  theirsLast: { borderBottomLeftRadius: 6 },
  waiting: { backgroundColor: colors.primarySoft, borderWidth: 1, borderColor: colors.primary, borderStyle: 'dashed' },
  refused: { backgroundColor: colors.failSoft, borderWidth: 1, borderColor: colors.fail },
  text: { overflowWrap: 'anywhere' },
  foot: { flexDirection: 'row', alignItems: 'center', alignSelf: 'flex-end', gap: 3, marginTop: 1 },
  below: { flexDirection: 'row', alignItems: 'center', gap: space.s, maxWidth: 560 },
  why: { flexShrink: 1 },
}));
