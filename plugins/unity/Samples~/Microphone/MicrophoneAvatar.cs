using Llia;
using Llia.Core;
using UnityEngine;
using UnityEngine.UI;

namespace LliaSamples
{
    /// <summary>
    /// Your voice and a face: the avatar says what the microphone hears, or listens to it. Put this on an empty object of a new
    /// scene and press Play. Wear headphones, or the microphone hears the avatar.
    /// </summary>
    public sealed class MicrophoneAvatar : MonoBehaviour
    {
        private const int RateHz = 16000;
        private const int LoopS = 1;

        [SerializeField, Tooltip("Empty: the system's default.")]
        private string m_device = "";

        [SerializeField, Tooltip("The avatar listens to you instead of speaking for you.")]
        private bool m_listen;

        [SerializeField, Tooltip("Only while the button is held.")]
        private bool m_pushToTalk;

        [SerializeField, Range(0f, 0.2f), Tooltip("Loudness from which on it counts as speech.")]
        private float m_threshold = 0.01f;

        private LliaAvatar m_avatar;
        private AudioClip m_recording;
        private VoiceGate m_gate;
        private float[] m_piece;
        private float[] m_kept;
        private int m_readTo;
        private bool m_held;
        private string m_problem = "";

        private void Start()
        {
            if (Camera.main == null)
            {
                new GameObject("Main Camera", typeof(Camera), typeof(AudioListener)).tag = "MainCamera";
            }
            var canvas = new GameObject("Canvas", typeof(Canvas)).GetComponent<Canvas>();
            canvas.renderMode = RenderMode.ScreenSpaceOverlay;
            var image = new GameObject("Avatar", typeof(RectTransform), typeof(RawImage)).GetComponent<RawImage>();
            image.transform.SetParent(canvas.transform, false);
            image.rectTransform.sizeDelta = new Vector2(512, 512);
            m_avatar = image.gameObject.AddComponent<LliaAvatar>();
            m_avatar.RawImage = image;
            m_piece = new float[RateHz / 50];
            m_kept = new float[RateHz / 2];
            m_gate = new VoiceGate(RateHz, m_threshold, 500);
        }

        private void OnEnable()
        {
            if (Microphone.devices.Length == 0)
            {
                m_problem = "there is no microphone";
                return;
            }
            m_recording = Microphone.Start(m_device, true, LoopS, RateHz);
            m_problem = m_recording == null ? "the microphone '" + m_device + "' cannot be opened" : "";
            m_readTo = 0;
        }

        private void OnDisable()
        {
            Microphone.End(m_device);
            m_recording = null;
            End();
        }

        private void Update()
        {
            if (m_recording == null)
            {
                return;
            }
            var recordedTo = Microphone.GetPosition(m_device);
            while ((recordedTo - m_readTo + m_recording.samples) % m_recording.samples >= m_piece.Length)
            {
                m_recording.GetData(m_piece, m_readTo);
                m_readTo = (m_readTo + m_piece.Length) % m_recording.samples;
                Hear();
            }
        }

        private void OnGUI()
        {
            GUILayout.Label(m_problem.Length > 0 ? m_problem : m_avatar.IsOpen ? m_avatar.State.ToString() : m_avatar.Problem);
            m_listen = GUILayout.Toggle(m_listen, "It listens to you");
            m_pushToTalk = GUILayout.Toggle(m_pushToTalk, "Push to talk");
            m_held = m_pushToTalk && GUILayout.RepeatButton("Talk");
        }

        private void Hear()
        {
            if (m_pushToTalk)
            {
                if (m_held)
                {
                    Give(m_piece, m_piece.Length);
                }
                else
                {
                    End();
                }
                return;
            }
            bool opened, closed;
            var talks = m_gate.Hear(m_piece, m_piece.Length, out opened, out closed);
            if (opened)
            {
                Give(m_kept, m_gate.TakeKept(m_kept));
            }
            if (talks)
            {
                Give(m_piece, m_piece.Length);
            }
            if (closed)
            {
                End();
            }
        }

        private void Give(float[] samples, int count)
        {
            if (count > 0 && m_listen)
            {
                m_avatar.Hear(samples, count, RateHz, 1);
            }
            else if (count > 0)
            {
                m_avatar.PushLive(samples, count, RateHz, 1);
            }
        }

        private void End()
        {
            if (m_avatar != null)
            {
                m_avatar.EndPush();
                m_avatar.EndHearing();
            }
        }
    }
}
