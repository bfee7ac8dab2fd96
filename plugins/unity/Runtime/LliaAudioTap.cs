using System;
using System.Threading;
using Llia.Core;
using UnityEngine;

namespace Llia
{
    /// <summary>
    /// Lets an avatar say (or hear) what an AudioSource plays: put it on the source's object. The source's own sound is muted
    /// by default, as the avatar says it in step with its picture.
    /// </summary>
    [AddComponentMenu("LLIA/LLIA Audio Tap")]
    [RequireComponent(typeof(AudioSource))]
    public sealed class LliaAudioTap : MonoBehaviour
    {
        private const int RingMs = 500;

        [SerializeField, Tooltip("Who says or hears it. Empty: the avatar on this object or above it.")]
        private LliaAvatar m_avatar;

        [SerializeField, Tooltip("The other party's voice: the avatar listens to it.")]
        private bool m_other;

        [SerializeField, Tooltip("Mute the source itself; the avatar's own voice replaces it.")]
        private bool m_mute = true;

        [SerializeField, Range(0f, 0.2f), Tooltip("Loudness from which on it counts as speech (root mean square).")]
        private float m_threshold = 0.005f;

        [SerializeField, Range(100, 2000), Tooltip("Quiet for so long, the speech is over.")]
        private int m_pauseMs = 500;

        private SampleRing m_ring;
        private VoiceGate m_gate;
        private float[] m_piece;
        private float[] m_kept;
        private volatile bool m_muteNow;

        public LliaAvatar Avatar
        {
            get { return m_avatar; }
            set { m_avatar = value; }
        }

        public bool Other
        {
            get { return m_other; }
            set { m_other = value; }
        }

        public bool Mute
        {
            get { return m_mute; }
            set { m_mute = value; }
        }

        /// <summary>Speech goes through at the moment.</summary>
        public bool IsTalking
        {
            get { return m_gate != null && m_gate.IsOpen; }
        }

        private void OnEnable()
        {
            var rateHz = AudioSettings.outputSampleRate;
            m_gate = new VoiceGate(rateHz, m_threshold, m_pauseMs);
            m_piece = new float[rateHz / 50];
            m_kept = new float[rateHz / 2];
            Volatile.Write(ref m_ring, new SampleRing((int)((long)rateHz * RingMs / 1000)));
            if (m_avatar == null)
            {
                m_avatar = GetComponentInParent<LliaAvatar>();
            }
            if (m_avatar == null)
            {
                Debug.LogWarning("LLIA: the Audio Tap on '" + name + "' has no avatar to speak to", this);
            }
        }

        private void Update()
        {
            m_muteNow = m_mute && !m_other;
            if (m_avatar == null)
            {
                return;
            }
            int count;
            while ((count = m_ring.Read(m_piece, m_piece.Length)) > 0)
            {
                bool opened, closed;
                var talks = m_gate.Hear(m_piece, count, out opened, out closed);
                if (opened)
                {
                    Give(m_kept, m_gate.TakeKept(m_kept));
                }
                if (talks)
                {
                    Give(m_piece, count);
                }
                if (closed)
                {
                    End();
                }
            }
        }

        private void OnDisable()
        {
            if (IsTalking)
            {
                End();
            }
            Volatile.Write(ref m_ring, null);
            m_gate = null;
        }

        private void Give(float[] mono, int count)
        {
            if (count == 0)
            {
                return;
            }
            if (m_other)
            {
                m_avatar.Hear(mono, count, m_gate.SampleRateHz, 1);
            }
            else
            {
                m_avatar.PushLive(mono, count, m_gate.SampleRateHz, 1);
            }
        }

        private void End()
        {
            if (m_avatar == null)
            {
                return;
            }
            if (m_other)
            {
                m_avatar.EndHearing();
            }
            else
            {
                m_avatar.EndPush();
            }
        }

        /// <summary>On the audio thread: nothing of Unity's may be touched here.</summary>
        private void OnAudioFilterRead(float[] data, int channels)
        {
            var ring = Volatile.Read(ref m_ring);
            if (ring == null)
            {
                return;
            }
            ring.WriteMono(data, channels);
            if (m_muteNow)
            {
                Array.Clear(data, 0, data.Length);
            }
        }
    }
}
