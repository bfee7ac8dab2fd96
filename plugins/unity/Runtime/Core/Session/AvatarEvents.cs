namespace Llia.Core
{
    public enum AvatarEventKind
    {
        /// <summary>The avatar is there; its id may be another one than before.</summary>
        Opened,

        /// <summary>It cannot be opened, was refused something, or its engine failed: see Code and Text.</summary>
        Error,

        /// <summary>The avatar is gone and is opened again as soon as possible.</summary>
        Lost,

        /// <summary>A picture in another state is shown.</summary>
        State,

        /// <summary>The first picture of an utterance is shown.</summary>
        SpeakingStarted,

        /// <summary>The last picture of an utterance is shown, or it was cancelled or interrupted.</summary>
        SpeakingEnded,

        /// <summary>An expression was set.</summary>
        Expression,
    }

    /// <summary>Something that happened to an avatar.</summary>
    public struct AvatarEvent
    {
        public AvatarEventKind Kind;

        /// <summary>When it is seen, 16 kHz samples; those that are not bound to a picture have the smallest number.</summary>
        public long PtsSamples;

        public string UtteranceId;
        public AvatarState State;
        public SpeechEnd End;

        /// <summary>Of an error; see the protocol.</summary>
        public string Code;

        /// <summary>One line for people.</summary>
        public string Text;
    }

    /// <summary>Events that wait for the thread that shows them; bounded, the oldest give way and are counted.</summary>
    internal sealed class EventQueue
    {
        private const int Capacity = 256;

        private readonly object m_guard = new object();
        private readonly AvatarEvent[] m_events = new AvatarEvent[Capacity];
        private int m_start;
        private int m_count;
        private long m_dropped;

        public long Dropped
        {
            get { lock (m_guard) { return m_dropped; } }
        }

        public void Add(AvatarEvent happened)
        {
            lock (m_guard)
            {
                if (m_count == Capacity)
                {
                    m_start = (m_start + 1) % Capacity;
                    m_count--;
                    m_dropped++;
                }
                m_events[(m_start + m_count++) % Capacity] = happened;
            }
        }

        /// <summary>The next event, if the playhead has reached it.</summary>
        public bool TryTake(double playheadSamples, out AvatarEvent happened)
        {
            lock (m_guard)
            {
                happened = m_events[m_start];
                if (m_count == 0 || happened.PtsSamples > playheadSamples)
                {
                    return false;
                }
                m_events[m_start] = default(AvatarEvent);
                m_start = (m_start + 1) % Capacity;
                m_count--;
                return true;
            }
        }

        /// <summary>What is still to come happens now: the clock it was bound to is void.</summary>
        public void Release()
        {
            lock (m_guard)
            {
                for (var i = 0; i < m_count; i++)
                {
                    m_events[(m_start + i) % Capacity].PtsSamples = long.MinValue;
                }
            }
        }
    }
}
