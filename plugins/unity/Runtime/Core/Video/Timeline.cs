using System;

namespace Llia.Core
{
    /// <summary>Has a place on the avatar's clock.</summary>
    public interface ITimed
    {
        /// <summary>16 kHz samples.</summary>
        long PtsSamples { get; }
    }

    /// <summary>
    /// Pictures (or faces) that wait to be shown. One thread writes, one takes; neither waits for the other. With an
    /// endless playhead it is the newest-frame slot: three buffers are in use and the newest picture wins. With sound it
    /// holds pictures back until the playhead reaches them, bounded: where there are too many the oldest gives way.
    /// </summary>
    public sealed class Timeline<T> where T : class, ITimed
    {
        private const int MostWaiting = 16;

        private readonly object m_guard = new object();
        private readonly Func<T> m_make;
        private readonly T[] m_waiting = new T[MostWaiting];
        private readonly T[] m_free = new T[MostWaiting + 2];
        private int m_waitingCount;
        private int m_freeCount;
        private T m_taken;
        private long m_received;
        private long m_passedOver;

        internal Timeline(Func<T> make)
        {
            m_make = make;
        }

        /// <summary>Those that arrived.</summary>
        public long Received
        {
            get { lock (m_guard) { return m_received; } }
        }

        /// <summary>Those that arrived and gave way to a newer one before anybody took them.</summary>
        public long PassedOver
        {
            get { lock (m_guard) { return m_passedOver; } }
        }

        public int Waiting
        {
            get { lock (m_guard) { return m_waitingCount; } }
        }

        /// <summary>
        /// The latest one not after the playhead, 16 kHz samples (or infinity for the newest); null if there is none but
        /// the one taken before. It stays valid until the next call that returns one.
        /// </summary>
        public T Take(double playheadSamples)
        {
            lock (m_guard)
            {
                var due = 0;
                while (due < m_waitingCount && m_waiting[due].PtsSamples <= playheadSamples)
                {
                    due++;
                }
                if (due == 0)
                {
                    return null;
                }
                for (var i = 0; i < due - 1; i++)
                {
                    Free(m_waiting[i]);
                }
                m_passedOver += due - 1;
                if (m_taken != null)
                {
                    Free(m_taken);
                }
                m_taken = m_waiting[due - 1];
                RemoveFirst(due);
                return m_taken;
            }
        }

        /// <summary>Drops all that waits; the one taken last stays valid.</summary>
        public void Flush()
        {
            lock (m_guard)
            {
                for (var i = 0; i < m_waitingCount; i++)
                {
                    Free(m_waiting[i]);
                }
                m_passedOver += m_waitingCount;
                RemoveFirst(m_waitingCount);
            }
        }

        /// <summary>One to fill; give it to <see cref="Publish"/> or <see cref="Discard"/>.</summary>
        internal T Begin()
        {
            lock (m_guard)
            {
                if (m_waitingCount < MostWaiting)
                {
                    return m_freeCount > 0 ? m_free[--m_freeCount] : m_make();
                }
                var oldest = m_waiting[0];
                RemoveFirst(1);
                m_passedOver++;
                return oldest;
            }
        }

        internal void Publish(T filled)
        {
            lock (m_guard)
            {
                m_received++;
                m_waiting[m_waitingCount++] = filled;
            }
        }

        internal void Discard(T filled)
        {
            lock (m_guard)
            {
                Free(filled);
            }
        }

        private void Free(T one)
        {
            m_free[m_freeCount++] = one;
        }

        private void RemoveFirst(int count)
        {
            m_waitingCount -= count;
            Array.Copy(m_waiting, count, m_waiting, 0, m_waitingCount);
            Array.Clear(m_waiting, m_waitingCount, count);
        }
    }
}
