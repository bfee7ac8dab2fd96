using System;
using System.Threading.Tasks;

namespace Llia.Core
{
    public enum SpeechEnd
    {
        /// <summary>Shown to its end.</summary>
        Finished,

        /// <summary>Dropped by a barge-in.</summary>
        Cancelled,

        /// <summary>The avatar was lost while it spoke: the daemon ended, or refused the rest.</summary>
        Interrupted,
    }

    /// <summary>Something that an avatar says, or that it hears the other party say. Safe from any thread.</summary>
    public sealed class Utterance
    {
        private readonly SpeechQueue m_queue;
        private readonly TaskCompletionSource<SpeechEnd> m_completion =
            new TaskCompletionSource<SpeechEnd>(TaskCreationOptions.RunContinuationsAsynchronously);

        internal readonly SampleQueue Samples;

        /// <summary>Samples up to here are known to have arrived.</summary>
        internal long Acknowledged;

        internal bool EndRequested;
        internal bool EndAcknowledged;

        /// <summary>The daemon has begun to speak it: it cannot be begun again.</summary>
        internal bool Started;
        internal bool Over;

        internal Utterance(SpeechQueue queue, int sampleRateHz, bool live, SampleQueue samples)
        {
            m_queue = queue;
            Id = Guid.NewGuid().ToString("N");
            SampleRateHz = sampleRateHz;
            Live = live;
            Samples = samples;
        }

        public string Id { get; private set; }

        public int SampleRateHz { get; private set; }

        /// <summary>Recorded now: what cannot be shown in time is skipped and counted by the daemon instead of queued.</summary>
        public bool Live { get; private set; }

        /// <summary>Ends when the utterance has. For what is heard, when all of it was sent.</summary>
        public Task<SpeechEnd> Completion
        {
            get { return m_completion.Task; }
        }

        /// <summary>Adds samples, -1..1, mono; returns how many fit. What does not fit is not taken: push it again later.</summary>
        public int Push(float[] mono, int offset, int count)
        {
            return m_queue.Push(this, mono, offset, count);
        }

        /// <summary>Nothing more will come.</summary>
        public void End()
        {
            m_queue.End(this);
        }

        internal void Complete(SpeechEnd how)
        {
            m_completion.TrySetResult(how);
        }
    }
}
