using Fakes;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.UI;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class PictureTests : Scene
    {
        private static void Show(LliaAvatar avatar, FakeDaemon daemon, long pts, int width, int height, byte seed)
        {
            var before = avatar.Shown.Shown;
            daemon.Frame(pts, width, height, Pixels(width, height, seed));
            Until(() => avatar.Shown.Shown > before, "shown");
        }

        [Test]
        public void APictureReachesTheTextureByteForByteAndStandsUpright()
        {
            var avatar = OpenAvatar(false);
            Show(avatar, Daemon, 640, 6, 4, 3);
            Assert.AreEqual(Pixels(6, 4, 3), avatar.Texture.Uploaded);
            Assert.AreSame(avatar.Texture, avatar.RawImage.texture);
            var turned = avatar.RawImage.uvRect;
            Assert.AreEqual(new[] { 0f, 1f, 1f, -1f }, new[] { turned.x, turned.y, turned.width, turned.height });
        }

        [Test]
        public void TheTextureIsMadeOncePerSizeAndGoesWithTheAvatar()
        {
            var avatar = OpenAvatar(false);
            Show(avatar, Daemon, 640, 6, 4, 1);
            var first = avatar.Texture;
            for (var i = 2; i < 20; i++)
            {
                Show(avatar, Daemon, i * 640, 6, 4, (byte)i);
                Assert.AreSame(first, avatar.Texture);
            }
            Assert.AreEqual(19, first.Uploads);
            Show(avatar, Daemon, 20 * 640, 8, 8, 1);
            Assert.AreNotSame(first, avatar.Texture);
            Assert.AreSame(avatar.Texture, avatar.RawImage.texture);
            Engine.Step(0);
            Assert.AreEqual(1, Engine.Textures);
            var image = avatar.RawImage;
            Object.DestroyImmediate(avatar);
            Engine.Step(0);
            Assert.AreEqual(0, Engine.Textures);
            Assert.IsTrue(image.texture == null);
        }

        [TestCase("", "_BaseMap", "_BaseMap")]
        [TestCase("", "_BaseColorMap", "_BaseColorMap")]
        [TestCase("", "", "_MainTex")]
        [TestCase("_Face", "_BaseMap", "_Face")]
        public void ARendererShowsItOnItsPipelinesProperty(string property, string has, string used)
        {
            var quad = GameObject.CreatePrimitive(PrimitiveType.Quad).GetComponent<Renderer>();
            quad.sharedMaterial = new Material(Shader.Find("any"));
            quad.sharedMaterial.Properties.Add(has);
            var avatar = OpenAvatar(false, made =>
            {
                made.Renderer = quad;
                made.TextureProperty = property;
            });
            Show(avatar, Daemon, 640, 6, 4, 3);
            Show(avatar, Daemon, 1280, 6, 4, 4);
            Assert.AreSame(avatar.Texture, quad.Block[Shader.PropertyToID(used)]);
            Assert.AreEqual(new Vector4(1, -1, 0, 1), quad.Block[Shader.PropertyToID(used + "_ST")]);
            Assert.AreEqual(1, quad.BlocksSet, "set once, not with every picture");
        }

        [Test]
        public void ARenderTextureGetsItUpright()
        {
            var target = new RenderTexture(64, 64, 0);
            var avatar = OpenAvatar(false, made => made.RenderTexture = target);
            Show(avatar, Daemon, 640, 6, 4, 3);
            Assert.AreSame(avatar.Texture, target.Source);
            Assert.AreEqual(new Vector2(1, -1), target.Scale);
            Assert.AreEqual(new Vector2(0, 1), target.Offset);
        }

        [Test]
        public void TheSamePictureAgainIsPassedOver()
        {
            var avatar = OpenAvatar(false);
            Show(avatar, Daemon, 640, 6, 4, 3);
            Daemon.Frame(640, 6, 4, Pixels(6, 4, 9));
            Show(avatar, Daemon, 1280, 6, 4, 5);
            Assert.AreEqual(2, avatar.Shown.Shown);
            Assert.AreEqual(Pixels(6, 4, 5), avatar.Texture.Uploaded);
        }

        [Test]
        public void ThePortraitIsSentAsItsFile()
        {
            var avatar = OpenAvatar(false, made =>
            {
                made.Portrait = new TextAsset(new byte[] { 0x89, 0x50, 0x4e, 0x47 });
                made.Picture = "amber";
                made.SizePx = 256;
                made.FramesPerSecond = 30;
                made.PremultipliedAlpha = true;
            });
            Assert.IsTrue(avatar.IsOpen);
            var asked = Daemon.All("open_avatar")[0];
            Assert.AreEqual(new byte[] { 0x89, 0x50, 0x4e, 0x47 }, asked.Payload);
            Assert.AreEqual("", asked.Fields["picture"]);
            Assert.AreEqual("256", asked.Fields["size_px"]);
            Assert.AreEqual("30", asked.Fields["fps"]);
            Assert.AreEqual("premultiplied", asked.Fields["alpha"]);
        }

        /// <summary>The component's own work for a picture makes no garbage.</summary>
        [Test]
        public void ShowingAllocatesNothing()
        {
            var avatar = OpenAvatar(false);
            var update = (System.Action)System.Delegate.CreateDelegate(
                typeof(System.Action), avatar, typeof(LliaAvatar).GetMethod(
                    "Update", System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic));
            Show(avatar, Daemon, 640, 64, 64, 3);
            long allocated = 0;
            for (var i = 2; i < 60; i++)
            {
                var received = avatar.Session.Frames.Received;
                Daemon.Frame(i * 640, 64, 64, Pixels(64, 64, (byte)i));
                Wait.Until(() => avatar.Session.Frames.Received > received);
                var before = System.GC.GetAllocatedBytesForCurrentThread();
                update();
                var bytes = System.GC.GetAllocatedBytesForCurrentThread() - before;
                allocated += i > 10 ? bytes : 0;
            }
            Assert.AreEqual(59, avatar.Shown.Shown);
            // The fake of a texture hands out its memory in a box where Unity does not: nothing else may be there.
            Assert.AreEqual(0, allocated);
        }
    }
}
