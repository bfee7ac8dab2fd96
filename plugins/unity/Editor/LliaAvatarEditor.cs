using Llia.Core;
using UnityEditor;
using UnityEngine;

namespace Llia.Editor
{
    /// <summary>Inspector of an avatar: what it is, where it is shown, how it does while the game runs.</summary>
    [CustomEditor(typeof(LliaAvatar))]
    internal sealed class LliaAvatarEditor : UnityEditor.Editor
    {
        private static readonly string[] s_avatar =
        {
            "m_connection", "m_useDefaultAvatar", "m_portrait", "m_picture", "m_pack", "m_sizePx", "m_framesPerSecond",
        };

        private static readonly string[] s_shown =
        {
            "m_rawImage", "m_renderer", "m_textureProperty", "m_renderTexture", "m_premultipliedAlpha", "m_pictureDelayMs",
        };

        private static readonly string[] s_voice = { "m_playVoice", "m_audioSource", "m_voiceDelayMs" };
        private static readonly string[] s_events = { "m_onSpeakingStarted", "m_onSpeakingEnded", "m_onState", "m_onError" };

        private readonly RateMeter m_rate = new RateMeter();
        private bool m_showEvents;

        public override bool RequiresConstantRepaint()
        {
            return Application.isPlaying;
        }

        public override void OnInspectorGUI()
        {
            serializedObject.Update();
            EditorGUILayout.LabelField("Avatar", EditorStyles.boldLabel);
            Fields.Show(serializedObject, s_avatar);
            EditorGUILayout.LabelField("Shown in", EditorStyles.boldLabel);
            Fields.Show(serializedObject, s_shown);
            EditorGUILayout.LabelField("Voice", EditorStyles.boldLabel);
            Fields.Show(serializedObject, s_voice);
            m_showEvents = EditorGUILayout.Foldout(m_showEvents, "Events");
            if (m_showEvents)
            {
                Fields.Show(serializedObject, s_events);
            }
            serializedObject.ApplyModifiedProperties();
            var avatar = (LliaAvatar)target;
            if (Application.isPlaying)
            {
                ShowLife(avatar);
            }
            else if (!IsShown(avatar))
            {
                EditorGUILayout.HelpBox("It is shown nowhere yet: set Raw Image, Renderer or Render Texture.", MessageType.Info);
            }
        }

        private static bool IsShown(LliaAvatar avatar)
        {
            return avatar.RawImage != null || avatar.Renderer != null || avatar.RenderTexture != null;
        }

        private void ShowLife(LliaAvatar avatar)
        {
            EditorGUILayout.Space();
            EditorGUILayout.LabelField("Live", EditorStyles.boldLabel);
            var session = avatar.Session;
            if (session == null || avatar.Problem.Length > 0)
            {
                EditorGUILayout.HelpBox(avatar.Problem, MessageType.Warning);
            }
            if (session == null)
            {
                return;
            }
            var figures = session.Figures;
            var shown = avatar.Shown == null ? 0 : avatar.Shown.Shown;
            EditorGUILayout.LabelField("Avatar", session.Phase + " " + session.Name + " " + session.AvatarId);
            EditorGUILayout.LabelField("State", avatar.State.ToString());
            EditorGUILayout.LabelField("Pictures a second", "shown " + m_rate.PerSecond(shown).ToString("0.0") + ", made "
                + figures.Fps.ToString("0.0"));
            EditorGUILayout.LabelField("Pictures", session.Frames.Received + " received, " + session.Frames.PassedOver
                + " passed over for newer ones");
            EditorGUILayout.LabelField("Sound to picture", avatar.LatencyMs.ToString("0") + " ms (the daemon's lead "
                + figures.LeadMs.ToString("0") + " ms)");
            EditorGUILayout.LabelField("Daemon's stalls", figures.Stalls + ", " + figures.StalledMs.ToString("0") + " ms");
            EditorGUILayout.LabelField("Speech that waits", (session.WaitingToSendS + figures.SpeechWaitingMs / 1000).ToString("0.0")
                + " s");
            ShowVoice(session.Voice);
            if (avatar.Texture != null)
            {
                var square = GUILayoutUtility.GetRect(128, 128, GUILayout.ExpandWidth(false));
                GUI.DrawTextureWithTexCoords(square, avatar.Texture, new Rect(0, 1, 1, -1));
            }
        }

        private static void ShowVoice(VoicePlayer voice)
        {
            if (voice == null)
            {
                return;
            }
            EditorGUILayout.LabelField("Voice", voice.DelayMs.ToString("0") + " ms wait, " + voice.Underruns + " interruptions, "
                + voice.SkippedMs.ToString("0") + " ms skipped");
        }
    }
}
