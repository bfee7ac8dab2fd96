using Llia;
using UnityEngine;
using UnityEngine.UI;

namespace LliaSamples
{
    /// <summary>What an empty scene lacks.</summary>
    internal static class SceneParts
    {
        public static void MakeCamera()
        {
            if (Camera.main != null)
            {
                return;
            }
            var made = new GameObject("Main Camera", typeof(Camera), typeof(AudioListener));
            made.tag = "MainCamera";
            made.transform.position = new Vector3(0, 1, -5);
        }

        public static Canvas MakeCanvas()
        {
            var canvas = new GameObject("Canvas", typeof(Canvas), typeof(CanvasScaler)).GetComponent<Canvas>();
            canvas.renderMode = RenderMode.ScreenSpaceOverlay;
            return canvas;
        }

        public static RawImage MakeImage(Canvas canvas, Vector2 size)
        {
            var image = new GameObject("Portrait", typeof(RectTransform), typeof(RawImage)).GetComponent<RawImage>();
            image.transform.SetParent(canvas.transform, false);
            image.rectTransform.sizeDelta = size;
            return image;
        }

        /// <summary>The component reads its settings when it is enabled, so the object is off meanwhile.</summary>
        public static LliaAvatar MakeAvatar(GameObject on, string picture)
        {
            on.SetActive(false);
            var avatar = on.AddComponent<LliaAvatar>();
            avatar.Picture = picture;
            on.SetActive(true);
            return avatar;
        }
    }
}
