using Llia;
using UnityEngine;
using UnityEngine.UI;

namespace LliaSamples
{
    /// <summary>
    /// A portrait that says a clip. Put this on an empty object of a new scene, drag a clip on it, press Play: it makes the
    /// camera, the canvas and the avatar itself.
    /// </summary>
    public sealed class TalkingPortrait : MonoBehaviour
    {
        [SerializeField, Tooltip("What it says.")]
        private AudioClip m_clip;

        [SerializeField, Tooltip("Who says it: a name in the pack; empty for its default.")]
        private string m_picture = "";

        private LliaAvatar m_avatar;
        private string m_news = "waits for the daemon";

        private void Start()
        {
            SceneParts.MakeCamera();
            var image = SceneParts.MakeImage(SceneParts.MakeCanvas(), new Vector2(512, 512));
            m_avatar = SceneParts.MakeAvatar(image.gameObject, m_picture);
            m_avatar.RawImage = image;
            m_avatar.SpeakingStarted += id => m_news = "speaks";
            m_avatar.SpeakingEnded += (id, how) => m_news = "has ended: " + how;
            m_avatar.Failed += (code, text) => m_news = text;
        }

        private void OnGUI()
        {
            GUILayout.Label(m_avatar.IsOpen ? m_avatar.State + ", " + m_news : m_avatar.Problem);
            if (GUILayout.Button("Speak") && m_clip != null)
            {
                m_avatar.Speak(m_clip);
            }
            if (GUILayout.Button("Stop"))
            {
                m_avatar.Stop();
            }
        }
    }
}
